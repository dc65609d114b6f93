package wire

import (
	"fmt"
	"strings"
	"testing"
)

// decodeLoads are the messages that clients send most, with 128 bytes of data
// where they carry data.
var decodeLoads = []struct{ name, msg string }{
	{"ping", `{"type":"ping"}`},
	{"join", `{"type":"joinGroup","group":"room-17","ackId":42}`},
	{"join/history", `{"type":"joinGroup","group":"room-17","history":{"last":10},"ackId":42}`},
	{"state", `{"type":"setGroupState","group":"room-17","state":{"status":"away","cursor":"12,7"},"ackId":42}`},
	{"stream/start", `{"type":"sendToGroup","group":"room-17","stream":{"streamId":"s-1","idleTimeoutMs":300000}}`},
	{"stream/part", `{"type":"streamData","streamId":"s-1","streamSequenceId":17,"dataType":"text","data":"token"}`},
	{"stream/end", `{"type":"streamEnd","streamId":"s-1","error":{"message":"m","userErrorCode":"c"}}`},
	{"send/json/128B", sendLoad("json", `{"id":12345,"price":10.25,"sym":"ABC","x":[1,2,3],"ok":true,"note":"`+strings.Repeat("z", 58)+`"}`)},
	{"send/text/128B", sendLoad("text", `"`+strings.Repeat("hello wo", 16)+`"`)},
	{"send/text-escaped/128B", sendLoad("text", `"`+strings.Repeat(`say \"hi\"\n `, 12)+`"`)},
	{"send/binary/128B", sendLoad("binary", `"`+strings.Repeat("AAECAwQF", 21)+`"`)},
	{"send/json/16KiB", sendLoad("json", `[`+strings.Repeat(`{"id":12345,"price":10.25,"sym":"ABC"},`, 420)+`null]`)},
}

func sendLoad(dataType, data string) string {
	return fmt.Sprintf(`{"type":"sendToGroup","group":"room-17","dataType":%q,"data":%s,"ackId":42,"noEcho":true}`, dataType, data)
}

func BenchmarkDecode(b *testing.B) {
	for _, load := range decodeLoads {
		b.Run(load.name, func(b *testing.B) {
			var d Decoder
			var req Request
			msg := []byte(load.msg)
			b.ReportAllocs()
			b.SetBytes(int64(len(msg)))
			for b.Loop() {
				if err := (JSONv1{}).Decode(&d, true, msg, &req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDecodeHostile shows what the worst megabyte costs the loop.
func BenchmarkDecodeHostile(b *testing.B) {
	names := new(strings.Builder)
	for i := 0; names.Len() < 1<<20; i++ {
		fmt.Fprintf(names, `"%x":0,`, i)
	}
	for _, load := range []struct{ name, msg string }{
		{"names", `{"type":"sendToGroup","group":"g","data":{` + names.String() + `"":0}}`},
		{"properties", `{` + names.String() + `"type":"ping"}`},
		{"arrays", sendLoad("json", "["+strings.Repeat("[[[[[[]]]]]],", 80_000)+"0]")},
		{"escapes", sendLoad("text", `"`+strings.Repeat(`\u0041`, 170_000)+`"`)},
	} {
		b.Run(load.name+"/1MiB", func(b *testing.B) {
			var d Decoder
			var req Request
			msg := []byte(load.msg)
			b.ReportAllocs()
			b.SetBytes(int64(len(msg)))
			for b.Loop() {
				if err := (JSONv1{}).Decode(&d, true, msg, &req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendMessage(b *testing.B) {
	for _, t := range []DataType{JSON, Text, Binary} {
		b.Run(t.String()+"/128B", func(b *testing.B) {
			m := &Message{Group: "room-17", FromUser: "alice", DataType: t, Data: []byte(strings.Repeat("12345678", 16))}
			dst := make([]byte, 0, 1024)
			b.ReportAllocs()
			b.SetBytes(128)
			for b.Loop() {
				dst = (JSONv1{}).AppendMessage(dst[:0], m)
			}
		})
	}
}
