package frame_test

import (
	"strings"
	"testing"

	"sluice/frame"
)

var (
	plainDeflate   = frame.DeflateConfig{Enabled: true}
	contextDeflate = frame.DeflateConfig{Enabled: true, ContextTakeover: true}
)

const noTakeover = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

var offerCases = []struct {
	name   string
	offers []string
	cfg    frame.DeflateConfig
	answer string
}{
	{"off", []string{"permessage-deflate"}, frame.DeflateConfig{}, ""},
	{"no header", nil, plainDeflate, ""},
	{"empty header", []string{"", " , ,"}, plainDeflate, ""},
	{"bare", []string{"permessage-deflate"}, plainDeflate, noTakeover},
	{"a browser's", []string{"permessage-deflate; client_max_window_bits"}, plainDeflate, noTakeover},
	{"everything", []string{`permessage-deflate;server_no_context_takeover ; client_no_context_takeover; server_max_window_bits = 10;client_max_window_bits="9"`}, plainDeflate, noTakeover + "; server_max_window_bits=10"},
	{"smallest window", []string{"permessage-deflate; server_max_window_bits=8"}, plainDeflate, noTakeover + "; server_max_window_bits=8"},
	{"quoted value", []string{`permessage-deflate; server_max_window_bits="1\2"`}, plainDeflate, noTakeover + "; server_max_window_bits=12"},
	{"second header line", []string{"x-webkit-deflate-frame", "permessage-deflate"}, plainDeflate, noTakeover},

	{"context: bare", []string{"permessage-deflate"}, contextDeflate, "permessage-deflate"},
	{"context: a browser's", []string{"permessage-deflate; client_max_window_bits"}, contextDeflate, "permessage-deflate; client_max_window_bits=12"},
	{"context: smaller client window", []string{"permessage-deflate; client_max_window_bits=10"}, contextDeflate, "permessage-deflate; client_max_window_bits=10"},
	{"context: larger client window", []string{"permessage-deflate; client_max_window_bits=15"}, contextDeflate, "permessage-deflate; client_max_window_bits=12"},
	{"context: not for the server", []string{"permessage-deflate; server_no_context_takeover"}, contextDeflate, "permessage-deflate; server_no_context_takeover"},
	{"context: not for the client", []string{"permessage-deflate; client_no_context_takeover; client_max_window_bits"}, contextDeflate, "permessage-deflate; client_no_context_takeover"},

	{"other extension first", []string{"bbf-usp-protocol; a=b, permessage-deflate"}, plainDeflate, noTakeover},
	{"first valid offer wins", []string{"permessage-deflate; server_max_window_bits=10, permessage-deflate"}, plainDeflate, noTakeover + "; server_max_window_bits=10"},
	{"unknown parameter, then good", []string{"permessage-deflate; fast, permessage-deflate"}, plainDeflate, noTakeover},
	{"out of range, then good", []string{"permessage-deflate; server_max_window_bits=16, permessage-deflate; server_max_window_bits=15"}, plainDeflate, noTakeover + "; server_max_window_bits=15"},
	{"malformed, then good", []string{`permessage-deflate; x="a,b", permessage-deflate`}, plainDeflate, noTakeover},
	{"quoted comma and escape", []string{`x; y="\",permessage-deflate", permessage-deflate`}, plainDeflate, noTakeover},
	{"malformed line, then good line", []string{`@@@; "`, "permessage-deflate"}, plainDeflate, noTakeover},

	{"unknown parameter", []string{"permessage-deflate; fast"}, plainDeflate, ""},
	{"name in capitals", []string{"Permessage-Deflate"}, plainDeflate, ""},
	{"repeated flag", []string{"permessage-deflate; server_no_context_takeover; server_no_context_takeover"}, plainDeflate, ""},
	{"repeated client flag", []string{"permessage-deflate; client_no_context_takeover; client_no_context_takeover"}, plainDeflate, ""},
	{"repeated bits", []string{"permessage-deflate; server_max_window_bits=10; server_max_window_bits=10"}, plainDeflate, ""},
	{"repeated client bits", []string{"permessage-deflate; client_max_window_bits; client_max_window_bits=10"}, plainDeflate, ""},
	{"repeated bare client bits", []string{"permessage-deflate; client_max_window_bits; client_max_window_bits"}, plainDeflate, ""},
	{"flag with a value", []string{"permessage-deflate; server_no_context_takeover=true"}, plainDeflate, ""},
	{"client flag with a value", []string{"permessage-deflate; client_no_context_takeover=1"}, plainDeflate, ""},
	{"bits without a value", []string{"permessage-deflate; server_max_window_bits"}, plainDeflate, ""},
	{"7 bits", []string{"permessage-deflate; server_max_window_bits=7"}, plainDeflate, ""},
	{"client 16 bits", []string{"permessage-deflate; client_max_window_bits=16"}, plainDeflate, ""},
	{"leading zero", []string{"permessage-deflate; server_max_window_bits=08"}, plainDeflate, ""},
	{"signed", []string{"permessage-deflate; server_max_window_bits=+9"}, plainDeflate, ""},
	{"not a number", []string{"permessage-deflate; client_max_window_bits=ten"}, plainDeflate, ""},
	{"empty value", []string{"permessage-deflate; client_max_window_bits="}, plainDeflate, ""},
	{"empty quotes", []string{`permessage-deflate; client_max_window_bits=""`}, plainDeflate, ""},
	{"open quotes", []string{`permessage-deflate; client_max_window_bits="10`}, plainDeflate, ""},
	{"ends in an escape", []string{`permessage-deflate; client_max_window_bits="10\`}, plainDeflate, ""},
	{"empty parameter", []string{"permessage-deflate;"}, plainDeflate, ""},
	{"garbage behind", []string{"permessage-deflate x"}, plainDeflate, ""},
}

func TestNegotiateDeflate(t *testing.T) {
	for _, tc := range offerCases {
		t.Run(tc.name, func(t *testing.T) {
			d, answer := frame.NegotiateDeflate(tc.offers, tc.cfg)
			if answer != tc.answer || (d != nil) != (answer != "") {
				t.Errorf("got %q (%v), want %q", answer, d != nil, tc.answer)
			}
		})
	}
}

// Connections without context must not cost memory each.
func TestDeflateIsShared(t *testing.T) {
	a, _ := frame.NegotiateDeflate([]string{"permessage-deflate"}, plainDeflate)
	b, _ := frame.NegotiateDeflate([]string{"permessage-deflate; client_max_window_bits"}, plainDeflate)
	if a != b {
		t.Error("two connections with the same parameters have two instances")
	}
	a, _ = frame.NegotiateDeflate([]string{"permessage-deflate"}, contextDeflate)
	b, _ = frame.NegotiateDeflate([]string{"permessage-deflate"}, contextDeflate)
	if a == b {
		t.Error("two connections share one context")
	}
}

func TestClientDeflateOffer(t *testing.T) {
	cases := map[string]frame.DeflateConfig{
		"":                                      {},
		noTakeover + "; client_max_window_bits": plainDeflate,
		"permessage-deflate; client_max_window_bits": contextDeflate,
	}
	for want, cfg := range cases {
		if got := frame.ClientDeflateOffer(cfg); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAcceptDeflateAnswer(t *testing.T) {
	cases := []struct {
		name    string
		answers []string
		cfg     frame.DeflateConfig
		on, ok  bool
	}{
		{"declined", nil, plainDeflate, false, true},
		{"our server's", []string{noTakeover}, plainDeflate, true, true},
		{"client flag left out", []string{"permessage-deflate; server_no_context_takeover"}, plainDeflate, true, true},
		{"server flag left out", []string{"permessage-deflate; client_no_context_takeover"}, plainDeflate, false, false},
		{"windows", []string{"permessage-deflate; server_max_window_bits=10; client_max_window_bits=9"}, contextDeflate, true, true},
		{"client window without a value", []string{"permessage-deflate; client_max_window_bits"}, contextDeflate, false, false},
		{"bad window", []string{"permessage-deflate; client_max_window_bits=16"}, contextDeflate, false, false},
		{"unknown parameter", []string{"permessage-deflate; fast"}, contextDeflate, false, false},
		{"repeated parameter", []string{"permessage-deflate; server_max_window_bits=9; server_max_window_bits=9"}, contextDeflate, false, false},
		{"not offered", []string{"permessage-deflate"}, frame.DeflateConfig{}, false, false},
		{"other extension", []string{"x-webkit-deflate-frame"}, plainDeflate, false, false},
		{"answered twice", []string{noTakeover + ", " + noTakeover}, plainDeflate, false, false},
		{"malformed", []string{"permessage-deflate;"}, contextDeflate, false, false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			d, err := frame.AcceptDeflateAnswer(tc.answers, tc.cfg)
			if (d != nil) != tc.on || (err == nil) != tc.ok {
				t.Errorf("negotiated=%v, err=%v", d != nil, err)
			}
		})
	}
}

func FuzzNegotiateDeflate(f *testing.F) {
	for _, tc := range offerCases {
		f.Add(strings.Join(tc.offers, "\n"), tc.cfg.ContextTakeover)
	}
	f.Fuzz(func(t *testing.T, offers string, takeover bool) {
		cfg := frame.DeflateConfig{Enabled: true, ContextTakeover: takeover}
		d, answer := frame.NegotiateDeflate(strings.Split(offers, "\n"), cfg)
		if (d != nil) != (answer != "") {
			t.Fatalf("negotiated=%v with answer %q", d != nil, answer)
		}
		if d == nil {
			return
		}
		// An answer of ours is one that our own client accepts, whatever
		// was offered, and is itself a valid offer.
		if _, err := frame.AcceptDeflateAnswer([]string{answer}, cfg); err != nil {
			t.Fatalf("%q answered with %q: %v", offers, answer, err)
		}
		if again, _ := frame.NegotiateDeflate([]string{answer}, cfg); again == nil {
			t.Fatalf("%q answered with %q, which is not well-formed", offers, answer)
		}
		if !strings.Contains(offers, "permessage-deflate") {
			t.Fatalf("%q answered with %q", offers, answer)
		}
	})
}

func TestConfigValidate(t *testing.T) {
	problems := func(cfg frame.Config) (keys string) {
		cfg.Validate(func(key, problem string) {
			if problem == "" {
				t.Errorf("%s: no words", key)
			}
			keys += key + " "
		})
		return keys
	}
	if got := problems(frame.Config{}); got != "" {
		t.Errorf("defaults: %s", got)
	}
	good := frame.DeflateConfig{Enabled: true, Level: 6, MinSize: 1, ContextTakeover: true, ClientWindowBits: 15}
	if got := problems(frame.Config{MaxMessageSize: 1 << 30, Deflate: good}); got != "" {
		t.Errorf("limits: %s", got)
	}
	bad := frame.DeflateConfig{Level: 7, MinSize: -1, ClientWindowBits: 8}
	const want = "max_message_size deflate.level deflate.min_size deflate.client_window_bits "
	if got := problems(frame.Config{MaxMessageSize: -1, Deflate: bad}); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
