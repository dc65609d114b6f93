package auth

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ClaimPath leads to a claim of a token, which may stand within others. The zero value
// leads nowhere.
type ClaimPath []string

// ValidClaim reports whether the configuration can name a claim so: by its name, or by
// a JSON pointer (RFC 6901), which begins with a slash.
func ValidClaim(name string) bool {
	return !strings.HasPrefix(name, "/") || jsontext.Pointer(name).IsValid()
}

// PathOf returns the path of a claim that is named so, which must be valid; "" is none.
func PathOf(name string) ClaimPath {
	switch {
	case name == "":
		return nil
	case strings.HasPrefix(name, "/"):
		return slices.Collect(jsontext.Pointer(name).Tokens())
	}
	return ClaimPath{name}
}

// In returns what stands there in the claims of a token, nil where there is nothing.
func (p ClaimPath) In(claims jsontext.Value) jsontext.Value {
	if len(p) == 0 {
		return nil
	}
	v := claims
	for _, name := range p {
		var members map[string]jsontext.Value
		if v.Kind() != '{' || json.Unmarshal(v, &members) != nil {
			return nil
		}
		v = members[name]
	}
	return v
}
