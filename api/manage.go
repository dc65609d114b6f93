package api

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"sluice/auth"
	"sluice/hub"
)

func closeAll(w http.ResponseWriter, c *call) *problem {
	return c.close(w, c.hub.CloseAll)
}

func closeGroup(w http.ResponseWriter, c *call) *problem {
	return c.close(w, func(s hub.Selection, reason string) error { return c.hub.CloseGroup(c.PathValue("group"), s, reason) })
}

func closeUser(w http.ResponseWriter, c *call) *problem {
	return c.close(w, func(s hub.Selection, reason string) error { return c.hub.CloseUser(c.PathValue("user"), s, reason) })
}

func (c *call) close(w http.ResponseWriter, which func(hub.Selection, string) error) *problem {
	s, p := c.selection()
	if p != nil {
		return p
	}
	reason, p := c.reason()
	if p != nil {
		return p
	}
	return done(w, http.StatusNoContent, which(s, reason))
}

func closeConnection(w http.ResponseWriter, c *call) *problem {
	reason, p := c.reason()
	if p != nil {
		return p
	}
	return gone(w, http.StatusNoContent, c.hub.CloseConnection(c.PathValue("id"), reason))
}

// maxReason is what fits into a close frame (RFC 6455 section 5.5).
const maxReason = 123

// reason is what the clients are told.
func (c *call) reason() (string, *problem) {
	reason := c.param("reason")
	if len(reason) > maxReason {
		return "", badRequest("reason", "longer than "+strconv.Itoa(maxReason)+" bytes, which is what a close frame can hold")
	}
	return reason, nil
}

func hasConnection(w http.ResponseWriter, c *call) *problem {
	return exists(w, c.hub.HasConnection(c.PathValue("id")), codeNoConnection, "connection")
}

func hasUser(w http.ResponseWriter, c *call) *problem {
	return exists(w, c.hub.HasUser(c.PathValue("user")), codeNoUser, "user")
}

func hasGroup(w http.ResponseWriter, c *call) *problem {
	return exists(w, c.hub.HasGroup(c.PathValue("group")), codeNoGroup, "group")
}

// exists answers a question about one thing.
func exists(w http.ResponseWriter, yes bool, code, what string) *problem {
	if !yes {
		return notFound(code, what, "there is no such "+what+" with a connection")
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// member is a connection as the lists show it.
type member struct {
	ConnectionID string `json:"connectionId"`
	UserID       string `json:"userId,omitempty"`
}

// page is a part of a list.
type page struct {
	Value    []member `json:"value"`
	NextLink string   `json:"nextLink,omitempty"`
}

func members(all []hub.ConnectionInfo) page {
	p := page{Value: make([]member, len(all))}
	for i, c := range all {
		p.Value[i] = member{c.ID, c.User}
	}
	return p
}

func userConnections(w http.ResponseWriter, c *call) *problem {
	writeJSON(w, http.StatusOK, members(c.hub.UserConnections(c.PathValue("user"))))
	return nil
}

// maxPage is the largest page of a list, and the usual one.
const maxPage = 200

// groupConnections lists the members of a group page by page. What comes and
// goes meanwhile may be in the list or not; who stays is in it once.
func groupConnections(w http.ResponseWriter, c *call) *problem {
	size, p := c.number("maxpagesize", maxPage, maxPage)
	if p != nil {
		return p
	}
	top, p := c.number("top", 0, 1<<31)
	if p != nil {
		return p
	}
	if top > 0 {
		size = min(size, top)
	}
	all, next, err := c.hub.GroupConnections(c.Context(), c.PathValue("group"), c.param("continuationToken"), size)
	if errors.Is(err, hub.ErrNoConnection) {
		return badRequest("continuationToken", "is not one that a list has returned")
	}
	if err != nil {
		return problemOf(err)
	}
	answer := members(all)
	if next != "" && (top == 0 || top > len(all)) {
		answer.NextLink = c.nextLink(next, top-len(all))
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// nextLink is the address of the next page: this one with another beginning,
// and so many connections fewer to go where the caller wants only some.
func (c *call) nextLink(after string, top int) string {
	q := c.URL.Query()
	q.Set("continuationToken", after)
	if top > 0 {
		q.Set("top", strconv.Itoa(top))
	}
	u := url.URL{Scheme: "http", Host: c.Host, Path: c.URL.Path, RawPath: c.URL.RawPath, RawQuery: q.Encode()}
	if c.TLS != nil {
		u.Scheme = "https"
	}
	return u.String()
}

// number reads a parameter from 1 to most.
func (c *call) number(name string, without, most int) (int, *problem) {
	text := c.param(name)
	if text == "" {
		return without, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, badRequest(name, "must be 1 to "+strconv.Itoa(most))
	}
	return n, nil
}

func addConnection(w http.ResponseWriter, c *call) *problem {
	return done(w, http.StatusOK, c.hub.AddConnectionToGroup(c.Context(), c.PathValue("id"), c.PathValue("group")))
}

func removeConnection(w http.ResponseWriter, c *call) *problem {
	return gone(w, http.StatusNoContent, c.hub.RemoveConnectionFromGroup(c.Context(), c.PathValue("id"), c.PathValue("group")))
}

func removeConnectionFromAll(w http.ResponseWriter, c *call) *problem {
	return gone(w, http.StatusNoContent, c.hub.RemoveConnectionFromAllGroups(c.Context(), c.PathValue("id")))
}

func addUser(w http.ResponseWriter, c *call) *problem {
	return done(w, http.StatusOK, c.hub.AddUserToGroup(c.Context(), c.PathValue("user"), c.PathValue("group")))
}

func removeUser(w http.ResponseWriter, c *call) *problem {
	return done(w, http.StatusNoContent, c.hub.RemoveUserFromGroup(c.Context(), c.PathValue("user"), c.PathValue("group")))
}

func removeUserFromAll(w http.ResponseWriter, c *call) *problem {
	return done(w, http.StatusNoContent, c.hub.RemoveUserFromAllGroups(c.Context(), c.PathValue("user")))
}

// rule reads which permission of which connection for which group is meant.
func (c *call) rule() (id string, a auth.Action, group string, _ *problem) {
	switch c.PathValue("permission") {
	case "joinLeaveGroup":
		a = auth.JoinLeaveGroup
	case "sendToGroup":
		a = auth.SendToGroup
	default:
		return "", 0, "", badRequest("permission", "must be joinLeaveGroup or sendToGroup")
	}
	group = c.param("targetName")
	if !auth.ValidGroup(group) {
		return "", 0, "", badRequest("targetName", "must be the name of a group")
	}
	return c.PathValue("id"), a, group, nil
}

func grant(w http.ResponseWriter, c *call) *problem {
	id, a, group, p := c.rule()
	if p != nil {
		return p
	}
	return done(w, http.StatusOK, c.hub.Grant(c.Context(), id, a, group))
}

func revoke(w http.ResponseWriter, c *call) *problem {
	id, a, group, p := c.rule()
	if p != nil {
		return p
	}
	return gone(w, http.StatusNoContent, c.hub.Revoke(c.Context(), id, a, group))
}

func allowed(w http.ResponseWriter, c *call) *problem {
	id, a, group, p := c.rule()
	if p != nil {
		return p
	}
	ok, err := c.hub.Allowed(c.Context(), id, a, group)
	if err != nil && !errors.Is(err, hub.ErrNoConnection) {
		return problemOf(err)
	}
	if !ok {
		return notFound(codeNoRule, "permission", "the connection may not do this, or does not exist")
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// The life of a client's token in minutes: usual and longest.
const (
	usualTokenMinutes = 60
	maxTokenMinutes   = 60 * 24 * 365
)

// claims reads what a client is to be let in as.
func (c *call) claims() (auth.Claims, *problem) {
	minutes, p := c.number("minutesToExpire", usualTokenMinutes, maxTokenMinutes)
	return auth.Claims{
		Hub:    c.name,
		User:   c.param("userId"),
		Roles:  c.query["role"],
		Groups: c.query["group"],
		TTL:    time.Duration(minutes) * time.Minute,
	}, p
}

// generateToken makes a token for a client, for back ends that do not sign
// themselves.
func generateToken(w http.ResponseWriter, c *call) *problem {
	claims, p := c.claims()
	if p != nil {
		return p
	}
	token, err := c.data.Mint(claims)
	if err != nil {
		return badRequest("", err.Error())
	}
	writeJSON(w, http.StatusOK, map[string]string{"token": token})
	return nil
}

// usualTicketSeconds is how long a ticket is good for.
const usualTicketSeconds = 30

// createTicket makes a ticket, with which one client can connect once.
func createTicket(w http.ResponseWriter, c *call) *problem {
	claims, p := c.claims()
	if p != nil {
		return p
	}
	seconds, p := c.number("secondsToUse", usualTicketSeconds, int(auth.MaxTicketLife/time.Second))
	if p != nil {
		return p
	}
	ticket, err := c.data.Ticket(claims, time.Duration(seconds)*time.Second)
	switch {
	case errors.Is(err, auth.ErrTicketsFull):
		return later(http.StatusTooManyRequests, codeTooMany, err.Error())
	case err != nil:
		return badRequest("", err.Error())
	}
	writeJSON(w, http.StatusOK, map[string]string{"ticket": ticket})
	return nil
}
