package wire

import (
	"math"
	"testing"
)

func TestJSONPlace(t *testing.T) {
	offsets := JSONv1{}.Offsets()
	for _, tt := range []struct {
		name    string
		grammar Grammar
		m       Message
		ok      bool
	}{
		{"a message with an offset", offsets, Message{Group: "g", DataType: JSON, Data: []byte(`{"a":1}`), Offset: 41}, true},
		{"the largest offset", offsets, Message{Group: "g", DataType: Text, Data: []byte("x"), Offset: math.MaxUint64}, true},
		{"a name that needs escapes", offsets, Message{Group: `a"\,"offset":9}é` + "\n", DataType: Text, Data: []byte("x"), Offset: 7}, true},
		{"with a user and metadata", offsets, Message{Group: "g", FromUser: "u", Metadata: []Pair{{[]byte("k"), []byte(`,"offset":3}`)}}, DataType: Text, Data: []byte("x"), Offset: 7}, true},
		{"without offset", offsets, Message{Group: "g", DataType: JSON, Data: []byte("1")}, false},
		{"data that ends like one", offsets, Message{Group: "g", DataType: JSON, Data: []byte(`{"a":1,"offset":5}`)}, false},
		{"text that ends like one", offsets, Message{Group: "g", DataType: Text, Data: []byte(`x,"offset":5`)}, false},
		{"metadata that end like one", offsets, Message{Group: "g", Metadata: []Pair{{[]byte("k"), []byte(`,"offset":3`)}}, DataType: JSON, Data: []byte("1")}, false},
		{"another grammar", JSONv1{}, Message{Group: "g", DataType: JSON, Data: []byte("1"), Offset: 5}, false},
		{"from the server", offsets, Message{DataType: JSON, Data: []byte("1"), Offset: 5}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			msg := tt.grammar.AppendMessage(nil, &tt.m)
			group, offset, ok := JSONPlace(msg)
			if ok != tt.ok || ok && (group != tt.m.Group || offset != tt.m.Offset) {
				t.Errorf("%s: %q, %d, %v", msg, group, offset, ok)
			}
		})
	}
}

// FuzzJSONPlace: what is no message is no fault, and what was written is read.
func FuzzJSONPlace(f *testing.F) {
	f.Add([]byte(`{"type":"message","from":"group","group":"g","dataType":"json","data":1,"offset":5}`), "g", "text", uint64(5))
	f.Add([]byte(`{"type":"message","from":"group","group":"\`), `"`, `,"offset":5}`, uint64(0))
	f.Add([]byte(`{"type":"message","from":"group","group":,"offset":1}`), "", "", uint64(1))
	f.Add([]byte(""), "", "", uint64(1))
	f.Fuzz(func(t *testing.T, junk []byte, group, text string, offset uint64) {
		JSONPlace(junk)
		d := &Decoder{}
		d.split(append(append([]byte(`{"type":"joinGroup","group":`), appendString(nil, group)...), '}'))
		if group = string(d.str(fieldGroup)); group == "" || d.fault != nil {
			return
		}
		msg := JSONv1{offsets: true}.AppendMessage(nil, &Message{Group: group, DataType: Text, Data: []byte(text), Offset: offset})
		g, o, ok := JSONPlace(msg)
		if ok != (offset > 0) || ok && (g != group || o != offset) {
			t.Errorf("%s: %q, %d, %v", msg, g, o, ok)
		}
	})
}
