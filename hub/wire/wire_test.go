package wire

import (
	"slices"
	"testing"
)

func TestSelect(t *testing.T) {
	for _, tt := range []struct {
		name    string
		offered []string
		compat  bool
		want    string // "" for none
	}{
		{"ours", []string{"json.sluice.v1"}, false, "json.sluice.v1"},
		{"compatible", []string{"json.webpubsub.azure.v1"}, true, "json.webpubsub.azure.v1"},
		{"compatible, switched off", []string{"json.webpubsub.azure.v1"}, false, ""},
		{"switched off, ours behind it", []string{"json.webpubsub.azure.v1", "json.sluice.v1"}, false, "json.sluice.v1"},
		{"first known wins", []string{"json.webpubsub.azure.v1", "json.sluice.v1"}, true, "json.webpubsub.azure.v1"},
		{"token skipped", []string{"bearer.ZXlK", "json.sluice.v1"}, true, "json.sluice.v1"},
		{"unknown skipped", []string{"mqtt", "", "json.sluice.v1"}, true, "json.sluice.v1"},
		{"case matters", []string{"JSON.sluice.v1"}, true, ""},
		{"no prefix match", []string{"json.sluice.v11", "json.sluice.v"}, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, subprotocol, ok := Select(tt.offered, tt.compat)
			if subprotocol != tt.want || ok != (tt.want != "") {
				t.Fatalf("got %q, %v, want %q", subprotocol, ok, tt.want)
			}
			if ok && g != Grammar(JSONv1{}) {
				t.Errorf("got grammar %#v", g)
			}
			if !ok && g != nil {
				t.Errorf("got grammar %#v, want none", g)
			}
		})
	}
}

func TestSelectRaw(t *testing.T) {
	for _, offered := range [][]string{nil, {"bearer.ZXlK"}} {
		if g, subprotocol, ok := Select(offered, true); g != Grammar(Raw{}) || subprotocol != "" || !ok {
			t.Errorf("%q: got %#v, %q, %v", offered, g, subprotocol, ok)
		}
	}
}

func TestNames(t *testing.T) {
	seen := []string{Kind(200).String()}
	for k := JoinGroup; k <= UnsubscribeGroupState; k++ {
		if name := k.String(); name == "" || slices.Contains(seen, name) {
			t.Errorf("kind %d has the name %q", k, name)
		} else {
			seen = append(seen, name)
		}
	}
	if g := (JSONv1{}); g.Name() != "json.sluice.v1" || g.Binary(nil) {
		t.Errorf("got name %q, binary %v", g.Name(), g.Binary(nil))
	}
}
