package hub_test

import (
	"testing"

	"sluice/hub"
)

// FuzzConnectionID: a text names at most one connection, and a connection is
// named by one text.
func FuzzConnectionID(f *testing.F) {
	f.Add("")
	f.Add("uozmkylmg5qmkeimo6udr26jne")
	f.Add("uozmkylmg5qmkeimo6udr26jnf")
	f.Add("UOZMKYLMG5QMKEIMO6UDR26JNE")
	f.Add("uozmkylmg5qmk\neimo6udr26jn")
	f.Fuzz(func(t *testing.T, text string) {
		if id, ok := hub.ParseID(text); ok && id != text {
			t.Errorf("%q is read as %q", text, id)
		}
	})
}
