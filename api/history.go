package api

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"

	"sluice/hub"
	"sluice/hub/wire"
)

// kept is a message of a history, with the names that messages to clients have.
type kept struct {
	Offset     uint64            `json:"offset"`
	Time       int64             `json:"time"` // milliseconds since 1970
	FromUserID string            `json:"fromUserId,omitempty"`
	DataType   string            `json:"dataType"`
	Data       any               `json:"data"`
	Metadata   map[string]string `json:"metadata,omitempty"`
}

// maxLast bounds the parameter last; no history is longer.
const maxLast = 1_000_000

// groupHistory lists what is kept of the messages to a group, bounded by
// history_bytes of the group, so there are no pages.
func groupHistory(w http.ResponseWriter, c *call) *problem {
	last, p := c.number("last", 0, maxLast)
	if p != nil {
		return p
	}
	since, p := c.since()
	if p != nil {
		return p
	}
	epoch := c.param("epoch")
	switch {
	case last > 0 && (since > 0 || epoch != ""):
		return badRequest("last", "does not go with since and epoch")
	case since > 0 && epoch == "":
		return badRequest("epoch", "is missing: an offset means nothing without it")
	}
	page, err := c.hub.History(c.PathValue("group"), since, epoch, last)
	if err != nil {
		return problemOf(err)
	}
	messages := make([]kept, len(page.Messages))
	for i := range page.Messages {
		messages[i] = keptOf(&page.Messages[i])
	}
	writeJSON(w, http.StatusOK, struct {
		Epoch    string `json:"epoch"`
		Offset   uint64 `json:"offset"`
		Complete bool   `json:"complete"`
		Value    []kept `json:"value"`
	}{page.Epoch, page.Offset, page.Complete, messages})
	return nil
}

func keptOf(m *hub.HistoryMessage) kept {
	k := kept{Offset: m.Offset, Time: m.Time.UnixMilli(), FromUserID: m.FromUser, DataType: m.DataType.String()}
	switch m.DataType {
	case wire.JSON:
		k.Data = json.RawMessage(m.Data)
	case wire.Text:
		k.Data = string(m.Data)
	default:
		k.Data = base64.StdEncoding.EncodeToString(m.Data)
	}
	if len(m.Metadata) > 0 {
		k.Metadata = make(map[string]string, len(m.Metadata))
		for _, pair := range m.Metadata {
			k.Metadata[string(pair.Key)] = string(pair.Value)
		}
	}
	return k
}

// since returns the offset after which messages are wanted, 0 where it is not given.
func (c *call) since() (uint64, *problem) {
	text := c.param("since")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, badRequest("since", "must be an offset, a whole number")
	}
	return n, nil
}
