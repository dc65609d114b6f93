package wire

import "strings"

// Subprotocol names of the JSON grammars. The compatible names are those that
// published client libraries for Azure Web PubSub offer; Sluice is not
// affiliated with that service.
const (
	nameJSON       = "json.sluice.v1"
	nameReliable   = "json.reliable.sluice.v1"
	nameJSONCompat = "json.webpubsub.azure.v1"

	nameReliableCompat = "json.reliable.webpubsub.azure.v1"
)

// Select picks the grammar for the subprotocols a client offers, in the
// client's order of preference: the first known one wins. Unknown entries,
// among them tokens carried as "bearer.…" or "ticket.…", are skipped. A client that offers
// none is a raw one. compat says whether the compatible names count as known.
//
// subprotocol is the offered name to answer with (RFC 6455 section 4.2.2);
// names are compared byte for byte.
func Select(offered []string, compat bool) (g Grammar, subprotocol string, ok bool) {
	raw := true
	for _, name := range offered {
		raw = raw && (strings.HasPrefix(name, "bearer.") || strings.HasPrefix(name, "ticket."))
		if name == nameJSON || compat && name == nameJSONCompat {
			return JSONv1{}, name, true
		}
		if name == nameReliable || compat && name == nameReliableCompat {
			return JSONReliableV1{}, name, true
		}
	}
	if raw {
		return Raw{}, "", true
	}
	return nil, "", false
}

// Subprotocols returns the names that Select knows.
func Subprotocols(compat bool) []string {
	if !compat {
		return []string{nameJSON, nameReliable}
	}
	return []string{nameJSON, nameReliable, nameJSONCompat, nameReliableCompat}
}
