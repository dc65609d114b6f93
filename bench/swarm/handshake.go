package swarm

import (
	"bytes"
	"strconv"
)

// All handshakes use the key of the RFC: it proves that the answer is a
// WebSocket server's, which one key does as well as many (RFC 6455 1.3).
const (
	handshakeKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	handshakeAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

	maxHead = 16 << 10 // bytes of an answer's head
)

// Request returns the head of an opening handshake. subprotocol and token may
// be empty; the token goes into the Authorization header.
func Request(host, path, subprotocol, token string) []byte {
	b := make([]byte, 0, 256+len(token))
	b = append(b, "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "+handshakeKey+"\r\n"...)
	if subprotocol != "" {
		b = append(b, "Sec-WebSocket-Protocol: "+subprotocol+"\r\n"...)
	}
	if token != "" {
		b = append(b, "Authorization: Bearer "+token+"\r\n"...)
	}
	return append(b, "\r\n"...)
}

// checkAnswer returns what is wrong with the head of an answer, "" for nothing.
func checkAnswer(head []byte) string {
	line, headers, _ := bytes.Cut(head, []byte("\r\n"))
	proto, rest, _ := bytes.Cut(line, []byte(" "))
	status, _, _ := bytes.Cut(rest, []byte(" "))
	if code, err := strconv.Atoi(string(status)); err != nil || string(proto) != "HTTP/1.1" {
		return "not an HTTP answer"
	} else if code != 101 {
		return "HTTP " + strconv.Itoa(code)
	}
	for header := range bytes.SplitSeq(headers, []byte("\r\n")) {
		name, value, _ := bytes.Cut(header, []byte(":"))
		if bytes.EqualFold(name, []byte("Sec-WebSocket-Accept")) {
			if string(bytes.TrimSpace(value)) == handshakeAccept {
				return ""
			}
			break
		}
	}
	return "wrong Sec-WebSocket-Accept"
}
