package login

// Underway lets a test take the places of those who wait for the provider.
func (l *Login) Underway() chan struct{} { return l.underway }

var LocalPath = localPath

const (
	StateLife  = stateLife
	RetryAfter = retryAfter
	Rediscover = rediscover
)

// Permits tells whether a user with these claims may see the pages.
func (a *Allow) Permits(subject, claims string) bool {
	return a.permits(user{subject, []byte(claims)})
}
