package sockjs

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAppendString(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", `""`},
		{"plain <&> text", `"plain <&> text"`},
		{"\"\\", `"\"\\"`},
		{"\x00\n\x1f\x7f", `"\u0000\u000a\u001f` + "\x7f" + `"`},
		{"\u200b\u200c\u200f\u2010", `"` + "\u200b" + `\u200c\u200f` + "\u2010" + `"`},
		{"\u2027\u2028\u202f\u2030", `"` + "\u2027" + `\u2028\u202f` + "\u2030" + `"`},
		{"\u2060\u206f\ufff0\uffff", `"\u2060\u206f\ufff0\uffff"`},
		{"ü 😀", `"ü 😀"`},
		{"a\xffb", `"a\ufffdb"`},
	} {
		if got := string(appendString(nil, []byte(tt.text))); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.text, got, tt.want)
		}
	}
}

func TestAppendFrames(t *testing.T) {
	a := appendMessage(nil, true, []byte("x"))
	a = append(appendMessage(a, false, []byte(`"`)), ']')
	if got, want := string(a), `a["x","\""]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := string(appendClose(nil, 3000, "Go away!")), `c[3000,"Go away!"]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := string(appendEvent(nil, `a["100%"]`, "")), "data: a[\"100%25\"]\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := string(appendScript(nil, `a["</script>"]`, "")), "<script>\np(\"a[\\\"\\u003c/script>\\\"]\");\n</script>\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := string(appendCall(nil, `o`, "cb")), "/**/cb(\"o\");\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDecode(t *testing.T) {
	for _, tt := range []struct {
		body string
		want []string
		err  error
	}{
		{"", nil, errNoPayload},
		{" \n", nil, errNoPayload},
		{`[]`, nil, nil},
		{`["a"]`, []string{"a"}, nil},
		{` [ "a" , "\u0062\ud83d\ude00" ] `, []string{"a", "b😀"}, nil},
		{`["\ud800"]`, []string{"\ufffd"}, nil},
		{`["a"`, nil, errBrokenJSON},
		{`["a"] x`, nil, errBrokenJSON},
		{`["a",]`, nil, errBrokenJSON},
		{`"a"`, nil, errNoPayload},
		{`{}`, nil, errNoPayload},
		{`null`, nil, errNoPayload},
		{`[null]`, nil, errNoPayload},
		{`[1]`, nil, errNoPayload},
		{`["a",{}]`, nil, errNoPayload},
	} {
		got, err := decodeMessages([]byte(tt.body))
		if !slices.Equal(got, tt.want) || err != tt.err {
			t.Errorf("%q: got %q, %v; want %q, %v", tt.body, got, err, tt.want, tt.err)
		}
	}
	for text, want := range map[string][]string{"": nil, `"a"`: {"a"}, `["a","b"]`: {"a", "b"}} {
		if got, err := decodeText([]byte(text)); !slices.Equal(got, want) || err != nil {
			t.Errorf("on a WebSocket, %q: got %q, %v", text, got, err)
		}
	}
	for _, broken := range []string{`"a`, `{}`, `["a"`, `1`} {
		if got, err := decodeText([]byte(broken)); err == nil {
			t.Errorf("on a WebSocket, %q: got %q", broken, got)
		}
	}
}

// FuzzDecode: what is decoded and framed again means the same, to a JSON parser of
// somebody else.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`["a"]`, `[]`, `"a"`, `["\u2028\ud800"]`, `[1]`, `["a"`, "[\"\xff\"]", strings.Repeat("[", 99)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		messages, err := decodeText(body)
		if err != nil || len(messages) == 0 {
			return
		}
		frame := []byte(nil)
		for i, m := range messages {
			if !utf8.ValidString(m) {
				t.Fatalf("%q is not UTF-8", m)
			}
			frame = appendMessage(frame, i == 0, []byte(m))
		}
		frame = append(frame, ']')
		var again []string
		if err := json.Unmarshal(frame[1:], &again); err != nil || !slices.Equal(messages, again) {
			t.Fatalf("%q became %q (%v)", messages, again, err)
		}
		if strings.ContainsAny(string(frame), "\r\n\x00") {
			t.Fatalf("%q has a line end", frame)
		}
	})
}

func TestParse(t *testing.T) {
	s := New(Config{}, Options{})
	for path, want := range map[string]string{
		"/sockjs/hubs/chat":                                       `{chat  }`,
		"/sockjs/hubs/chat/":                                      `{chat  }`,
		"/sockjs/hubs/chat/info":                                  `{chat  info}`,
		"/sockjs/hubs/chat/000/abcdefgh/xhr":                      `{chat abcdefgh xhr}`,
		"/sockjs/hubs/chat//":                                     "",
		"/sockjs/hubs/chat/a/a":                                   "",
		"/sockjs/hubs/chat/a//xhr":                                "",
		"/sockjs/hubs/chat//a/xhr":                                "",
		"/sockjs/hubs/chat/a.b/a/xhr":                             "",
		"/sockjs/hubs/chat/a/a.b/xhr":                             "",
		"/sockjs/hubs/chat/a/b/xhr/":                              "",
		"/sockjs/hubs/1chat/info":                                 "",
		"/sockjs/hubs/":                                           "",
		"/sockjs/hub":                                             "",
		"/sockjs/hubs/chat/0/" + strings.Repeat("x", 65) + "/xhr": "",
	} {
		got := ""
		if target, ok := s.parse(path); ok {
			got = fmt.Sprintf("{%s %s %s}", target.hub, target.session, target.what)
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}
