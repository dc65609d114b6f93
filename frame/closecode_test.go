package frame_test

import (
	"bytes"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"sluice/frame"
)

func TestCloseCodeSendable(t *testing.T) {
	for code := range frame.CloseCode(6000) {
		want := closeCodes[code] || code >= 3000 && code <= 4999
		if got := code.Sendable(); got != want {
			t.Errorf("%d: %v", uint16(code), got)
		}
	}
}

func TestCloseCodeReconnect(t *testing.T) {
	cases := map[frame.CloseCode]bool{
		1000: false, 1001: true, 1002: false, 1003: false, 1005: false, 1006: true, 1007: false, 1008: false,
		1009: false, 1010: false, 1011: true, 1012: true, 1013: true, 1014: true, 1015: false, 2000: false,
		3000: true, 3499: true, 3500: false, 3999: false, 4000: true, 4401: true, 4499: true, 4500: false, 4999: false, 5000: false,
	}
	for code, want := range cases {
		if got := code.Reconnect(); got != want {
			t.Errorf("%d: %v", uint16(code), got)
		}
	}
}

func TestCloseCodeString(t *testing.T) {
	label := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	labels := map[string]bool{}
	for code := range ^frame.CloseCode(0) {
		s := code.String()
		if !label.MatchString(s) {
			t.Errorf("%d: %q", uint16(code), s)
		}
		labels[s] = true
	}
	if len(labels) != 17 {
		t.Errorf("%d labels: %v", len(labels), labels)
	}
	if got := frame.CloseTokenExpired.String(); got != "token_expired" {
		t.Errorf("4401 is %q", got)
	}
}

func TestAppendClose(t *testing.T) {
	cases := []struct {
		name   string
		code   frame.CloseCode
		reason string
		want   event
	}{
		{"code and reason", 1001, "node stops", closed(1001, "node stops")},
		{"code only", 4401, "", closed(4401, "")},
		{"no status", frame.CloseNoStatus, "unseen", closed(frame.CloseNoStatus, "")},
		{"code that may not be sent", frame.CloseAbnormal, "", closed(frame.CloseNoStatus, "")},
		{"longest reason", 1008, strings.Repeat("r", 123), closed(1008, strings.Repeat("r", 123))},
		{"too long", 1008, strings.Repeat("r", 124), closed(1008, strings.Repeat("r", 123))},
		{"cut on a rune", 1008, strings.Repeat("日", 60), closed(1008, strings.Repeat("日", 41))},
		{"cut inside a rune", 1008, "x" + strings.Repeat("日", 60), closed(1008, "x"+strings.Repeat("日", 40))},
		{"not UTF-8", 1008, "a\xffb", closed(1008, "a?b")},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			var r frame.Reader
			c := frame.NewCodec(frame.Config{Client: true})
			wire := frame.AppendClose([]byte("before"), tc.code, tc.reason)
			got := feed(t, &r, c, bytes.TrimPrefix(wire, []byte("before")), whole)
			if want := (outcome{events: []event{tc.want}}); !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func FuzzAppendClose(f *testing.F) {
	f.Add(uint16(1000), "bye")
	f.Add(uint16(1005), strings.Repeat("日", 50))
	f.Add(uint16(4401), strings.Repeat("\xf0\x9f", 100))
	f.Fuzz(func(t *testing.T, code uint16, reason string) {
		var r frame.Reader
		c := frame.NewCodec(frame.Config{Client: true})
		got := feed(t, &r, c, frame.AppendClose(nil, frame.CloseCode(code), reason), whole)
		if got.failed != 0 || len(got.events) != 1 {
			t.Fatalf("a close frame of ours is refused: %v", got)
		}
		if s := got.events[0].payload; len(s) > 123 || utf8.ValidString(reason) && !strings.HasPrefix(reason, s) {
			t.Fatalf("%q became %q", reason, s)
		}
	})
}
