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

// The other subprotocol names.
const (
	nameMsgpack         = "msgpack.sluice.v1"
	nameMsgpackReliable = "msgpack.reliable.sluice.v1"
	nameProtobuf        = "protobuf.sluice.v1"
	nameProtobufCompat  = "protobuf.webpubsub.azure.v1"

	nameProtobufReliable       = "protobuf.reliable.sluice.v1"
	nameProtobufReliableCompat = "protobuf.reliable.webpubsub.azure.v1"
)

// subprotocols are all names, our own first.
var subprotocols = []struct {
	name    string
	compat  bool
	grammar Grammar
}{
	{nameJSON, false, JSONv1{}},
	{nameReliable, false, JSONReliableV1{}},
	{nameProtobuf, false, ProtobufV1{}},
	{nameProtobufReliable, false, ProtobufReliableV1{}},
	{nameMsgpack, false, MsgpackV1{}},
	{nameMsgpackReliable, false, MsgpackReliableV1{}},
	{nameJSONCompat, true, JSONv1{}},
	{nameReliableCompat, true, JSONReliableV1{}},
	{nameProtobufCompat, true, ProtobufV1{}},
	{nameProtobufReliableCompat, true, ProtobufReliableV1{}},
}

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
		for _, s := range subprotocols {
			if name == s.name && (compat || !s.compat) {
				return s.grammar, name, true
			}
		}
	}
	if raw {
		return Raw{}, "", true
	}
	return nil, "", false
}

// Subprotocols returns the names that Select knows.
func Subprotocols(compat bool) (names []string) {
	for _, s := range subprotocols {
		if compat || !s.compat {
			names = append(names, s.name)
		}
	}
	return names
}
