package frame

import "strconv"

// The extension and its parameters (RFC 7692 7 and 7.1).
const (
	extensionName           = "permessage-deflate"
	serverNoContextTakeover = "server_no_context_takeover"
	clientNoContextTakeover = "client_no_context_takeover"
	serverMaxWindowBits     = "server_max_window_bits"
	clientMaxWindowBits     = "client_max_window_bits"
)

// maxSendHistory bounds what a connection with context takeover keeps of what
// it sent, in bytes. With twice as much a message of 1 KB takes a third longer
// to compress and gets no smaller.
const maxSendHistory = 4 << 10

// deflateParams are the parameters of one offer or answer.
type deflateParams struct {
	serverNoTakeover, clientNoTakeover bool
	serverBits, clientBits             uint8 // 0 when absent

	// clientBitsOffered is set by client_max_window_bits with or without a
	// value: the client can limit its window.
	clientBitsOffered bool
}

// parseDeflateParams returns false for unknown, repeated and bad parameters.
func parseDeflateParams(params []extensionParam) (d deflateParams, ok bool) {
	for _, p := range params {
		switch p.name {
		case serverNoContextTakeover:
			ok = !p.valued && !d.serverNoTakeover
			d.serverNoTakeover = true
		case clientNoContextTakeover:
			ok = !p.valued && !d.clientNoTakeover
			d.clientNoTakeover = true
		case serverMaxWindowBits:
			ok = d.serverBits == 0
			d.serverBits = parseWindowBits(p.value)
			ok = ok && d.serverBits != 0
		case clientMaxWindowBits:
			ok = !d.clientBitsOffered
			d.clientBitsOffered = true
			d.clientBits = parseWindowBits(p.value)
			ok = ok && (d.clientBits != 0 || !p.valued)
		default:
			ok = false
		}
		if !ok {
			return d, false
		}
	}
	return d, true
}

// parseWindowBits returns 0 for anything but 8 to 15 without leading zeros.
func parseWindowBits(s string) uint8 {
	bits, err := strconv.ParseUint(s, 10, 8)
	if err != nil || s[0] == '0' || bits < minWindowBits || bits > maxWindowBits {
		return 0
	}
	return uint8(bits)
}

// String writes the header value.
func (d deflateParams) String() string {
	s := extensionName
	if d.serverNoTakeover {
		s += "; " + serverNoContextTakeover
	}
	if d.clientNoTakeover {
		s += "; " + clientNoContextTakeover
	}
	if d.serverBits != 0 {
		s += "; " + serverMaxWindowBits + "=" + strconv.Itoa(int(d.serverBits))
	}
	if d.clientBits != 0 {
		s += "; " + clientMaxWindowBits + "=" + strconv.Itoa(int(d.clientBits))
	} else if d.clientBitsOffered {
		s += "; " + clientMaxWindowBits
	}
	return s
}

// NegotiateDeflate is the server's half (RFC 7692 5.1 and 7.1): it takes the
// values of the Sec-WebSocket-Extensions headers and accepts the first offer
// that it can. d is nil, and answer empty, when there is none; offers that are
// malformed or cannot be met are passed over. Otherwise answer is the value of
// the response header.
func NegotiateDeflate(offers []string, cfg DeflateConfig) (d *Deflate, answer string) {
	if !cfg.Enabled {
		return nil, ""
	}
	for _, value := range offers {
		s := extensionScanner{value}
		for e, ok, more := s.next(); more; e, ok, more = s.next() {
			if !ok || e.name != extensionName {
				continue
			}
			if offer, ok := parseDeflateParams(e.params); ok {
				agreed := accept(offer, cfg)
				return newDeflate(agreed, false), agreed.String()
			}
		}
	}
	return nil, ""
}

// accept answers an offer. Every valid offer can be met.
func accept(offer deflateParams, cfg DeflateConfig) deflateParams {
	agreed := deflateParams{
		serverNoTakeover: offer.serverNoTakeover || !cfg.ContextTakeover,
		clientNoTakeover: offer.clientNoTakeover || !cfg.ContextTakeover,
		serverBits:       offer.serverBits,
	}
	// The client's window costs us memory only when it outlives a message.
	if offer.clientBitsOffered && !agreed.clientNoTakeover {
		agreed.clientBits = uint8(cfg.WithDefaults().ClientWindowBits)
		if offer.clientBits != 0 {
			agreed.clientBits = min(agreed.clientBits, offer.clientBits)
		}
	}
	return agreed
}

// ClientDeflateOffer returns the header value with which a client offers
// compression, or "" when cfg has it off.
func ClientDeflateOffer(cfg DeflateConfig) string {
	if !cfg.Enabled {
		return ""
	}
	return clientOffer(cfg).String()
}

func clientOffer(cfg DeflateConfig) deflateParams {
	return deflateParams{
		serverNoTakeover:  !cfg.ContextTakeover,
		clientNoTakeover:  !cfg.ContextTakeover,
		clientBitsOffered: true,
	}
}

// AcceptDeflateAnswer is the client's end of the negotiation: it takes the
// Sec-WebSocket-Extensions headers of a server that got the offer of cfg. d is
// nil when the server declined. An error is an [*Error]; the client must then
// fail the connection (RFC 7692 7.1).
func AcceptDeflateAnswer(answers []string, cfg DeflateConfig) (d *Deflate, err error) {
	for _, value := range answers {
		s := extensionScanner{value}
		for e, ok, more := s.next(); more; e, ok, more = s.next() {
			switch {
			case !ok:
				return nil, errAnswerSyntax
			case d != nil || e.name != extensionName || !cfg.Enabled:
				return nil, errAnswerUnasked
			}
			answer, ok := parseDeflateParams(e.params)
			if !ok || !fits(answer, clientOffer(cfg)) {
				return nil, errAnswerParams
			}
			// A client that offered not to take context over keeps to it, even
			// if the server did not repeat it.
			answer.clientNoTakeover = answer.clientNoTakeover || !cfg.ContextTakeover
			d = newDeflate(answer, true)
		}
	}
	return d, nil
}

// fits reports whether a server may give this answer to the offer.
func fits(answer, offer deflateParams) bool {
	if offer.serverNoTakeover && !answer.serverNoTakeover {
		return false
	}
	// In an answer the parameter must have a value, and may only be there when
	// it was offered.
	return !answer.clientBitsOffered || offer.clientBitsOffered && answer.clientBits != 0
}

// newDeflate returns the state of a connection with the agreed parameters.
func newDeflate(agreed deflateParams, client bool) *Deflate {
	server := newDirection(agreed.serverBits, agreed.serverNoTakeover)
	other := newDirection(agreed.clientBits, agreed.clientNoTakeover)
	d := &Deflate{send: server, receive: other}
	if client {
		d.send, d.receive = d.receive, d.send
	}
	d.send.keep = min(d.send.keep, maxSendHistory)
	if d.send.keep == 0 && d.receive.keep == 0 {
		return &contextFree[d.send.bits]
	}
	return d
}

func newDirection(bits uint8, noTakeover bool) direction {
	if bits == 0 {
		bits = maxWindowBits
	}
	d := direction{bits: bits}
	if !noTakeover {
		d.keep = d.window()
	}
	return d
}
