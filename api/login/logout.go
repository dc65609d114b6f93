package login

import "net/http"

// askLogout is a page with a button: what a browser may be led to does nothing.
func (l *Login) askLogout(w http.ResponseWriter, _ *http.Request) {
	private(w.Header())
	// Or the form comes with "Origin: null", which older browsers have nothing else
	// to show for.
	w.Header().Set("Referrer-Policy", "same-origin")
	send(w, http.StatusOK, "text/html; charset=utf-8", `<!doctype html>
<html lang="en"><title>Sluice operations: log out</title>
<form method="post" action="`+logoutPath+`"><button>Log out</button></form>
`)
}

// logout ends the session: its cookie is removed, and a copy of it is worth
// nothing. The user stays logged in at the provider.
func (l *Login) logout(w http.ResponseWriter, r *http.Request) {
	if err := l.crossOrigin.Check(r); err != nil {
		say(w, http.StatusForbidden, "another site may not log you out\n")
		return
	}
	if s, ok := l.session(r); ok {
		l.sessions.end(s, l.now())
	}
	http.SetCookie(w, l.cookie(l.sessionCookie, "", 0))
	say(w, http.StatusOK, "you are logged out here; at the identity provider you may still be logged in\n")
}
