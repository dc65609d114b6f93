package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// schema compiles sluice.proto.
func schema(t testing.TB) protoreflect.FileDescriptor {
	t.Helper()
	c := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{})}
	files, err := c.Compile(t.Context(), "sluice.proto")
	if err != nil {
		t.Fatal(err)
	}
	return files[0]
}

// parse reads a message by the schema, and fails on anything the schema lacks.
func parse(t *testing.T, kind protoreflect.MessageDescriptor, msg []byte) *dynamicpb.Message {
	t.Helper()
	m := dynamicpb.NewMessage(kind)
	if err := proto.Unmarshal(msg, m); err != nil {
		t.Fatalf("%v\n%s", err, hex.Dump(msg))
	}
	checkKnown(t, m)
	return m
}

func checkKnown(t *testing.T, m protoreflect.Message) {
	t.Helper()
	if unknown := m.GetUnknown(); len(unknown) > 0 {
		t.Errorf("%s: bytes that the schema does not explain: %x", m.Descriptor().FullName(), unknown)
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap() || f.Kind() != protoreflect.MessageKind || f.Message().FullName() == "google.protobuf.Any":
		case f.IsList():
			for i := range v.List().Len() {
				checkKnown(t, v.List().Get(i).Message())
			}
		default:
			checkKnown(t, v.Message())
		}
		return true
	})
}

// TestSchemaUpstream: what the schema says of each request is what Decode reads,
// whoever has written it.
func TestSchemaUpstream(t *testing.T) {
	upstream := schema(t).Messages().ByName("UpstreamMessage")
	seen := map[protoreflect.FieldNumber]bool{}
	for _, want := range goodRequests(t) {
		if want.DataType == Protobuf {
			want.Data = []byte("\x0a\x03a/b\x12\x01x") // an Any
		}
		m := parse(t, upstream, ProtobufV1{}.AppendRequest(nil, &want))
		m.Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool { seen[f.Number()] = true; return true })
		written, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var d Decoder
		var got Request
		if err := (ProtobufV1{}).Decode(&d, false, written, &got); err != nil {
			t.Fatalf("%v: %v", m, err)
		}
		sortPairs(&got)
		sortPairs(&want)
		compareRequests(t, &got, &want)
	}
	for number := range protoKinds {
		if !seen[number] || upstream.Fields().ByNumber(number) == nil {
			t.Errorf("request %d is not in the schema, or was not tried", number)
		}
	}
}

// sortPairs brings entries, which have no order in a map, into one.
func sortPairs(req *Request) {
	byKey := func(a, b Pair) int { return bytes.Compare(a.Key, b.Key) }
	req.Metadata, req.State = slices.Clone(req.Metadata), slices.Clone(req.State)
	slices.SortFunc(req.Metadata, byKey)
	slices.SortFunc(req.State, byKey)
}

// TestSchemaDownstream: everything that is written is in the schema, and says what
// it should.
func TestSchemaDownstream(t *testing.T) {
	kind := schema(t).Messages().ByName("DownstreamMessage")
	var got strings.Builder
	for _, g := range []Grammar{ProtobufV1{}, ProtobufReliableV1{}} {
		all := downstream(g)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			text, err := protojson.Marshal(parse(t, kind, all[name]))
			if err != nil {
				t.Fatal(err)
			}
			var compact bytes.Buffer // protojson puts spaces where it likes
			if err := json.Compact(&compact, text); err != nil {
				t.Fatal(err)
			}
			line := compact.String()
			if len(line) > 400 {
				line = line[:100] + "…"
			}
			fmt.Fprintf(&got, "# %s, %s\n%s\n", g.Name(), name, line)
		}
	}
	golden(t, "testdata/protobuf.txt", got.String())
}

// TestProtobufSequence: a number stands where its length was counted before it was
// known, whatever it is.
func TestProtobufSequence(t *testing.T) {
	kind := schema(t).Messages().ByName("DownstreamMessage")
	g := ProtobufReliableV1{}
	shared := g.AppendMessage(nil, &Message{Group: "g", DataType: Text, Data: bytes.Repeat([]byte("x"), 120)})
	for _, id := range []uint64{1, 127, 128, 1 << 32, 1<<56 - 1} {
		m := parse(t, kind, g.AppendSequenceID(slices.Clone(shared), id))
		data := m.Get(kind.Fields().ByName("data")).Message()
		if got := data.Get(data.Descriptor().Fields().ByName("sequence_id")).Uint(); got != id {
			t.Errorf("got %d, want %d", got, id)
		}
	}
}
