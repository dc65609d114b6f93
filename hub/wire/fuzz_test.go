package wire

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// FuzzDecode compares Decode with a naive twin made of encoding/json, and
// checks that what was decoded survives the way back and the way on.
func FuzzDecode(f *testing.F) {
	for _, msg := range decodeVectors(f) {
		f.Add([]byte(msg))
	}
	var d Decoder // shared, so that nothing may leak from one input to the next
	f.Fuzz(func(t *testing.T, msg []byte) {
		before := bytes.Clone(msg)
		var req Request
		err := JSONv1{}.Decode(&d, true, msg, &req)
		if !bytes.Equal(msg, before) {
			t.Fatal("message changed")
		}
		want, ok := naiveDecode(msg)
		if ok != (err == nil) {
			t.Fatalf("got error %v, the twin says %v", err, ok)
		}
		if err != nil {
			return
		}
		compareRequests(t, &req, &want)

		onward := JSONv1{}.AppendMessage(nil, &Message{Group: string(req.Group), DataType: req.DataType, Data: req.Data})
		back := JSONv1{}.AppendRequest(nil, &req)
		if req.Kind == SendToGroup {
			checkGroupMessage(t, onward, string(want.Group), "", want.DataType, want.Data)
		}
		if err := (JSONv1{}).Decode(&d, true, back, &req); err != nil {
			t.Fatalf("%s: %v", back, err)
		}
		compareRequests(t, &req, &want)
	})
}

// FuzzAppendMessage checks that any strings and bytes arrive as valid JSON
// and as they were sent.
func FuzzAppendMessage(f *testing.F) {
	f.Add("g", "alice", []byte("text"))
	f.Add("", "", []byte("from the server"))
	f.Add("\"\\\x00\u2028😀", "", []byte{0, 0xff, '"', '\n'})
	f.Fuzz(func(t *testing.T, group, user string, data []byte) {
		for _, dataType := range []DataType{JSON, Text, Binary, Protobuf} {
			if dataType == JSON && !json.Valid(data) {
				continue
			}
			msg := JSONv1{}.AppendMessage(nil, &Message{Group: group, FromUser: user, DataType: dataType, Data: data})
			checkGroupMessage(t, msg, group, user, dataType, data)
		}
	})
}

// checkGroupMessage reads msg with encoding/json. A string that is not UTF-8
// is expected with U+FFFD in place of each bad byte.
func checkGroupMessage(t *testing.T, msg []byte, group, user string, dataType DataType, data []byte) {
	t.Helper()
	var got struct {
		Type, From, Group, FromUserID, DataType string
		Data                                    json.RawMessage
	}
	if err := json.Unmarshal(msg, &got); err != nil {
		t.Fatalf("%s: %v", msg, err)
	}
	from := "group"
	if group == "" {
		from = "server"
	}
	if got.Type != "message" || got.From != from || got.DataType != dataType.String() {
		t.Fatalf("got %s", msg)
	}
	if got.Group != valid(group) || got.FromUserID != valid(user) {
		t.Fatalf("got %s, want group %q and user %q", msg, group, user)
	}
	switch dataType {
	case JSON:
		if !bytes.Contains(msg, data) || !bytes.Equal(got.Data, bytes.Trim(data, " \t\r\n")) {
			t.Fatalf("got %s, want data %s", msg, data)
		}
	case Text:
		var text string
		if err := json.Unmarshal(got.Data, &text); err != nil || text != valid(string(data)) {
			t.Fatalf("got %s, %v, want text %q", msg, err, data)
		}
	default:
		var p []byte
		if err := json.Unmarshal(got.Data, &p); err != nil || !bytes.Equal(p, data) {
			t.Fatalf("got %s, %v, want bytes %q", msg, err, data)
		}
	}
}

func valid(s string) string { return string([]rune(s)) }

func compareRequests(t *testing.T, got, want *Request) {
	t.Helper()
	same := got.Kind == want.Kind && bytes.Equal(got.Group, want.Group) && bytes.Equal(got.Event, want.Event) &&
		got.DataType == want.DataType && bytes.Equal(got.Data, want.Data) &&
		got.NoEcho == want.NoEcho && got.HasAck == want.HasAck && got.AckID == want.AckID &&
		got.TTL == want.TTL && got.SequenceID == want.SequenceID && got.Notices == want.Notices &&
		bytes.Equal(got.InvocationID, want.InvocationID) && bytes.Equal(got.Token, want.Token) &&
		bytes.Equal(got.ConflationKey, want.ConflationKey) && equalPairs(got.Metadata, want.Metadata) &&
		bytes.Equal(got.StreamID, want.StreamID) && got.Sequence == want.Sequence && got.IdleTimeout == want.IdleTimeout &&
		got.HasData == want.HasData && equalPairs(got.State, want.State) && describeRest(got) == describeRest(want)
	if !same {
		t.Fatalf("got %s\nwant %s", describeResult(got, nil), describeResult(want, nil))
	}
}

func equalPairs(a, b []Pair) bool {
	return slices.EqualFunc(a, b, func(a, b Pair) bool {
		return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value)
	})
}

// naiveDecode is Decode written for reading. Where encoding/json is more
// tolerant than our grammar, it checks by itself: UTF-8, lone surrogates,
// depth, repeated properties, and the type of the whole.
func naiveDecode(msg []byte) (req Request, ok bool) {
	properties, ok := naiveProperties(msg)
	if !ok {
		return req, false
	}
	get := func(name string, to any) (present, ok bool) {
		raw, present := properties[name]
		if !present || string(raw) == "null" {
			return false, true
		}
		return true, json.Unmarshal(raw, to) == nil
	}
	must := func(name string, to any) bool {
		present, ok := get(name, to)
		return present && ok
	}
	optional := func(name string, to any) bool {
		_, ok := get(name, to)
		return ok
	}

	var name string
	if !must("type", &name) {
		return req, false
	}
	for k, known := range kindNames {
		if Kind(k) != 0 && Kind(k) != StreamStart && asciiEqualFold(name, known) {
			req.Kind = Kind(k)
		}
	}
	if req.HasAck, ok = get("ackId", &req.AckID); !ok || req.Kind == 0 {
		return req, false
	}
	var object map[string]json.RawMessage
	if req.Kind == SendToGroup {
		present, ok := get("stream", &object)
		if !ok {
			return req, false
		}
		if present {
			req.Kind = StreamStart
		}
	}
	var group, event string
	switch req.Kind {
	case JoinGroup, LeaveGroup, SendToGroup, StreamStart, SetGroupState, SubscribeGroupState, UnsubscribeGroupState:
		if !must("group", &group) || len(group) > MaxGroup || strings.TrimSpace(group) == "" {
			return req, false
		}
		req.Group = []byte(group)
	}
	text := func(name string, into *[]byte, most int) bool {
		var s string
		ok := must(name, &s) && len(s) > 0 && len(s) <= most
		*into = []byte(s)
		return ok
	}
	switch req.Kind {
	case JoinGroup:
		req.History, ok = naiveHistory(properties["history"])
		return req, ok
	case StreamStart:
		ok = optional("noEcho", &req.NoEcho) && naiveStream(properties["stream"], &req)
		return req, ok && !given(properties["data"])
	case StreamEnd:
		ok := text("streamId", &req.StreamID, MaxID)
		return req, ok && naiveFailure(properties["error"], &req)
	case SetGroupState:
		req.HasState = given(properties["state"])
		req.State, ok = naiveTexts(properties["state"], func(p Pair, total int) bool {
			return len(p.Key) > 0 && len(p.Key) <= maxStateKey && total <= MaxState
		})
		return req, ok
	case SubscribeGroupState:
		return req, optional("presence", &req.Presence)
	case SequenceAck:
		return req, must("sequenceId", &req.SequenceID)
	case Auth:
		var token string
		ok := must("token", &token)
		req.Token = []byte(token)
		return req, ok
	case Notify:
		var yes bool
		if !optional("tokenExpiring", &yes) {
			return req, false
		}
		if yes {
			req.Notices = TokenExpiring
		}
		return req, true
	case CancelInvocation:
		return req, text("invocationId", &req.InvocationID, MaxID)
	case Invoke:
		target := "event"
		if !text("invocationId", &req.InvocationID, MaxID) || !optional("target", &target) || !asciiEqualFold(target, "event") {
			return req, false
		}
	}
	if req.Kind == Event || req.Kind == Invoke {
		if !must("event", &event) || !eventName.MatchString(event) {
			return req, false
		}
		req.Event = []byte(event)
	}
	if req.Kind == StreamData {
		if !text("streamId", &req.StreamID, MaxID) || !optional("streamSequenceId", &req.Sequence) {
			return req, false
		}
		if !given(properties["streamSequenceId"]) && !given(properties["data"]) {
			return req, true
		}
		if req.Sequence == 0 {
			return req, false
		}
	}
	data := properties["data"]
	if req.Kind != SendToGroup && req.Kind != Event && req.Kind != StreamData && (req.Kind != Invoke || !given(data)) {
		return req, true
	}
	req.HasData = true
	if req.Kind == SendToGroup || req.Kind == Event {
		if req.Metadata, ok = naiveMetadata(properties["metadata"]); !ok {
			return req, false
		}
	}
	var ttl uint64
	var key string
	if req.Kind == SendToGroup && (!optional("noEcho", &req.NoEcho) || !optional("ttlSeconds", &ttl) || ttl > 300 ||
		!optional("conflationKey", &key) || len(key) > MaxConflationKey) {
		return req, false
	}
	req.TTL, req.ConflationKey = uint16(ttl), []byte(key)
	dataType := "json"
	if !optional("dataType", &dataType) {
		return req, false
	}
	if known := []string{"json", "text", "binary", "protobuf"}; !slices.ContainsFunc(known, func(k string) bool { return asciiEqualFold(dataType, k) }) {
		return req, false
	}
	if !given(data) && len(req.Metadata) > 0 {
		req.DataType = Text
		return req, true
	}
	switch {
	case asciiEqualFold(dataType, "json"):
		req.DataType = JSON
		req.Data = properties["data"]
		return req, req.Data != nil && string(req.Data) != "null"
	case asciiEqualFold(dataType, "text"):
		var text string
		req.DataType = Text
		ok = must("data", &text)
		req.Data = []byte(text)
		return req, ok
	default:
		var text string
		req.DataType = Binary
		if asciiEqualFold(dataType, "protobuf") {
			req.DataType = Protobuf
		}
		return req, must("data", &text) && must("data", &req.Data)
	}
}

var (
	metadataKey   = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}$")
	metadataValue = regexp.MustCompile(`^[ -~]*$`)
)

func naiveMetadata(raw json.RawMessage) (pairs []Pair, ok bool) {
	return naiveTexts(raw, func(p Pair, total int) bool {
		return metadataKey.Match(p.Key) && metadataValue.Match(p.Value) && len(p.Value) <= maxMetadataValue && total <= MaxMetadata
	})
}

// naiveTexts reads an object of strings, nil for none.
func naiveTexts(raw json.RawMessage, valid func(p Pair, total int) bool) (pairs []Pair, ok bool) {
	if !given(raw) {
		return nil, true
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if start, _ := decoder.Token(); start != json.Delim('{') {
		return nil, false
	}
	total, seen := 0, map[string]bool{}
	for decoder.More() {
		name, _ := decoder.Token()
		token, err := decoder.Token()
		value, isText := token.(string)
		key := name.(string)
		total += len(key) + len(value)
		p := Pair{[]byte(key), []byte(value)}
		if err != nil || !isText || seen[key] || !valid(p, total) || len(pairs) == maxPairs {
			return nil, false
		}
		seen[key] = true
		pairs = append(pairs, p)
	}
	return pairs, true
}

// given reports whether a property is there.
func given(raw json.RawMessage) bool { return raw != nil && string(raw) != "null" }

// naiveObject reads an object whose properties in names must be given once at most.
func naiveObject(raw json.RawMessage, names ...string) (properties map[string]json.RawMessage, ok bool) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if start, _ := decoder.Token(); start != json.Delim('{') {
		return nil, false
	}
	properties = map[string]json.RawMessage{}
	for decoder.More() {
		token, _ := decoder.Token()
		name := token.(string)
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			return nil, false
		}
		if _, twice := properties[name]; twice && slices.Contains(names, name) {
			return nil, false
		}
		properties[name] = value
	}
	return properties, true
}

// naiveText reads a property that need not be there.
func naiveText(raw json.RawMessage, most int) (text []byte, ok bool) {
	if !given(raw) {
		return nil, true
	}
	var s string
	ok = json.Unmarshal(raw, &s) == nil && len(s) <= most
	return []byte(s), ok
}

func naiveHistory(raw json.RawMessage) (h History, ok bool) {
	if !given(raw) {
		return h, true
	}
	p, ok := naiveObject(raw, "last", "since", "epoch")
	h.Wanted = true
	epoch, okEpoch := naiveText(p["epoch"], MaxID)
	if !ok || !okEpoch || given(p["last"]) == given(p["since"]) {
		return h, false
	}
	if given(p["last"]) {
		return h, json.Unmarshal(p["last"], &h.Last) == nil && h.Last > 0
	}
	h.Epoch = epoch
	return h, json.Unmarshal(p["since"], &h.Since) == nil && len(epoch) > 0
}

func naiveStream(raw json.RawMessage, req *Request) (ok bool) {
	p, ok := naiveObject(raw, "streamId", "idleTimeoutMs")
	if req.StreamID, _ = naiveText(p["streamId"], MaxID); !ok || len(req.StreamID) == 0 {
		return false
	}
	if !given(p["idleTimeoutMs"]) {
		return true
	}
	var ms uint32
	ok = json.Unmarshal(p["idleTimeoutMs"], &ms) == nil && ms > 0
	req.IdleTimeout = time.Duration(ms) * time.Millisecond
	return ok
}

func naiveFailure(raw json.RawMessage, req *Request) (ok bool) {
	if !given(raw) {
		return true
	}
	p, ok := naiveObject(raw, "message", "userErrorCode")
	message, okMessage := naiveText(p["message"], maxFailure)
	code, okCode := naiveText(p["userErrorCode"], maxFailure)
	req.Failure = &Failure{message, code}
	return ok && okMessage && okCode
}

var eventName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,127}$`)

func asciiEqualFold(a, b string) bool {
	return len(a) == len(b) && utf8.RuneCountInString(a) == len(a) && strings.EqualFold(a, b)
}

// naiveProperties splits a message that is valid as a whole.
func naiveProperties(msg []byte) (properties map[string]json.RawMessage, ok bool) {
	if !json.Valid(msg) || !utf8.Valid(msg) || hasLoneSurrogate(msg) || depthOf(msg) > maxDepth {
		return nil, false
	}
	decoder := json.NewDecoder(bytes.NewReader(msg))
	if start, _ := decoder.Token(); start != json.Delim('{') {
		return nil, false
	}
	properties = make(map[string]json.RawMessage)
	for decoder.More() {
		token, _ := decoder.Token()
		name := token.(string)
		var raw json.RawMessage
		if decoder.Decode(&raw) != nil {
			return nil, false
		}
		if _, twice := properties[name]; twice && fieldByName([]byte(name)) != noField {
			return nil, false
		}
		properties[name] = raw
	}
	return properties, true
}

// depthOf counts the brackets of a valid JSON text.
func depthOf(msg []byte) (deepest int) {
	decoder := json.NewDecoder(bytes.NewReader(msg))
	decoder.UseNumber() // 1e999 is valid, but no float64
	for depth := 0; ; {
		token, err := decoder.Token()
		switch {
		case err != nil:
			return deepest
		case token == json.Delim('[') || token == json.Delim('{'):
			depth++
			deepest = max(deepest, depth)
		case token == json.Delim(']') || token == json.Delim('}'):
			depth--
		}
	}
}

// hasLoneSurrogate looks for half a surrogate pair among the escapes of a valid
// JSON text. encoding/json reads one as U+FFFD.
func hasLoneSurrogate(msg []byte) bool {
	for i := 0; i < len(msg); i++ {
		if msg[i] != '\\' {
			continue
		}
		i++
		first, ok := escaped(msg[i-1:])
		if !ok || !utf16.IsSurrogate(first) {
			continue
		}
		i += 5
		second, ok := escaped(msg[min(i, len(msg)):])
		if !ok || utf16.DecodeRune(first, second) == utf8.RuneError {
			return true
		}
		i += 5
	}
	return false
}

// escaped reads the \u escape that p begins with.
func escaped(p []byte) (rune, bool) {
	if len(p) < 6 || p[0] != '\\' || p[1] != 'u' {
		return 0, false
	}
	v, err := strconv.ParseUint(string(p[2:6]), 16, 16)
	return rune(v), err == nil
}
