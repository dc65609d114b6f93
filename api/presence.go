package api

import (
	"net/http"

	"sluice/hub/wire"
)

// present is a member of a group as presence shows it.
type present struct {
	member
	State     map[string]string `json:"state,omitzero"` // absent: it has none
	UpdatedAt int64             `json:"updatedAt"`      // milliseconds since 1970
}

// groupPresence lists who is in a group where presence is kept, else who has set a
// state in it: at most max_group_states of the hub, so there are no pages.
func groupPresence(w http.ResponseWriter, c *call) *problem {
	items := c.hub.Presence(c.PathValue("group"))
	list := make([]present, len(items))
	for i := range items {
		list[i] = presentOf(&items[i])
	}
	writeJSON(w, http.StatusOK, struct {
		Value []present `json:"value"`
	}{list})
	return nil
}

func presentOf(item *wire.StateItem) present {
	p := present{member: member{item.ConnectionID, item.UserID}, UpdatedAt: item.UpdatedAt}
	if item.HasState {
		p.State = make(map[string]string, len(item.State))
		for _, pair := range item.State {
			p.State[string(pair.Key)] = string(pair.Value)
		}
	}
	return p
}
