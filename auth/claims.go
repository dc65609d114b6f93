package auth

import (
	"errors"
	"math"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"
)

// payload is the claims of a client token that mean something to us; all others
// are skipped and cost nothing. Names are matched exactly and none may come
// twice (RFC 7519 section 4), which encoding/json does not offer: it takes
// "ROLE" for "role" and the last of several.
type payload struct {
	jwt.RegisteredClaims `json:"-"` // only to be a jwt.Claims; the parser does not look inside

	Issuing   lenient     `json:"iss"`
	Expires   numericDate `json:"exp"`
	NotBefore numericDate `json:"nbf"`
	IssuedAt  numericDate `json:"iat"`
	Audience  texts       `json:"aud"`
	Subject   string      `json:"sub"`
	ID        string      `json:"jti"`
	Role      texts       `json:"role"`
	Group     texts       `json:"sluice.group"`

	// Of tokens for a single call.
	Method   lenient `json:"htm"`
	BodyHash lenient `json:"body_sha256"`

	// The names of the same claims in the tokens of published libraries.
	CompatGroup texts  `json:"webpubsub.group"`
	LongSubject string `json:"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"`
	LongRole    texts  `json:"http://schemas.microsoft.com/ws/2008/06/identity/claims/role"`

	issuer *issuer // whose key verified the token; nil for the configured keys
}

// UnmarshalJSON is called by the JWT parser, through encoding/json.
func (p *payload) UnmarshalJSON(b []byte) error {
	type plain payload // without this method
	return json.Unmarshal(b, (*plain)(p))
}

func (p *payload) user() string {
	if p.Subject != "" {
		return p.Subject
	}
	return p.LongSubject
}

func (p *payload) roles() []string { return append(p.Role, p.LongRole...) }

// groups returns the groups, sorted, each once.
func (p *payload) groups() ([]string, *Refusal) {
	return validGroups(append(p.Group, p.CompatGroup...))
}

// validGroups sorts the names of groups, which it may change.
func validGroups(all []string) ([]string, *Refusal) {
	for _, name := range all {
		if !ValidGroup(name) {
			return nil, Refuse(TokenGroupInvalid, "the token names a group that is empty, too long or not text")
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// texts is a claim that is a string or an array of strings.
type texts []string

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (t *texts) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '"' {
		return json.UnmarshalDecode(dec, (*[]string)(t))
	}
	v, err := dec.ReadToken()
	if err == nil {
		*t = texts{v.String()}
	}
	return err
}

// lenient is a claim that counts where it is a string, and is else skipped.
type lenient string

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (l *lenient) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '"' {
		return dec.SkipValue()
	}
	v, err := dec.ReadToken()
	if err == nil {
		*l = lenient(v.String())
	}
	return err
}

// numericDate is a claim in seconds since 1970, with or without a fraction
// (RFC 7519 section 2). The zero value means that there is none.
type numericDate struct{ time.Time }

// maxDate is the end of the year 9999 in seconds. Dates in milliseconds, a
// common mistake, lie beyond it: such a token would never expire.
const maxDate = 253_402_300_800

var errDate = errors.New("not a date in seconds since 1970")

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (d *numericDate) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	var seconds *float64
	if err := json.UnmarshalDecode(dec, &seconds); err != nil || seconds == nil {
		return err
	}
	if *seconds < 0 || *seconds >= maxDate {
		return errDate
	}
	whole, fraction := math.Modf(*seconds)
	d.Time = time.Unix(int64(whole), int64(fraction*1e9))
	return nil
}

// badClaim returns the name of the claim that cannot be read, if err is about
// one of ours. Any other text of err may quote the token.
func badClaim(err error) string {
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		for name := range semantic.JSONPointer.Tokens() {
			return name
		}
	}
	return ""
}
