package wire

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// Limits of one entry of metadata, in bytes. Metadata travels in HTTP headers to
// services, so it has the form of such.
const (
	maxMetadataKey   = 256
	maxMetadataValue = 1024

	// maxMetadataPairs keeps the search for repeated keys short.
	maxMetadataPairs = 100
)

// metadata reads the metadata, if there is any.
func (d *Decoder) metadata(req *Request) {
	raw := d.raw[fieldMetadata]
	if raw == nil || d.fault != nil {
		return
	}
	d.checkObject(fieldMetadata)
	if d.fault != nil {
		return
	}
	d.pairs = d.pairs[:0]
	d.source = *bytes.NewBuffer(raw)
	d.tokens.Reset(&d.source, tokenOptions...)
	d.tokens.ReadToken() // the '{'; the whole is known to be valid
	total := 0
	for d.fault == nil && d.tokens.PeekKind() == '"' {
		p := Pair{Key: d.member(raw), Value: d.member(raw)}
		total += len(p.Key) + len(p.Value)
		d.checkPair(p, total)
		d.pairs = append(d.pairs, p)
	}
	req.Metadata = d.pairs
}

// member reads the next name or value of an object as text.
func (d *Decoder) member(raw []byte) []byte {
	v, _ := d.tokens.ReadValue()
	if d.fault != nil {
		return nil
	}
	if len(v) == 0 || v[0] != '"' {
		d.fail("metadata", "want strings as values, got "+describe(v))
		return nil
	}
	end := int(d.tokens.InputOffset())
	return d.unquote(raw[end-len(v) : end : end])
}

func (d *Decoder) checkPair(p Pair, total int) {
	switch {
	case d.fault != nil:
	case len(p.Key) == 0 || len(p.Key) > maxMetadataKey || bytes.IndexFunc(p.Key, notToken) >= 0:
		d.fail("metadata", "the key "+quoteShort(p.Key)+" is not a name of letters, digits and - _ .")
	case len(p.Value) > maxMetadataValue || bytes.IndexFunc(p.Value, notPrintable) >= 0:
		d.fail("metadata", "the value of "+quoteShort(p.Key)+" is too long or not printable ASCII")
	case total > MaxMetadata || len(d.pairs) == maxMetadataPairs:
		d.fail("metadata", "too large")
	default:
		for _, known := range d.pairs {
			if bytes.Equal(known.Key, p.Key) {
				d.fail("metadata", "the key "+quoteShort(p.Key)+" is given twice")
			}
		}
	}
}

// notToken reports what may not be in a token (RFC 9110 section 5.6.2).
func notToken(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return r > 0x7f || !bytes.ContainsRune([]byte("!#$%&'*+-.^_`|~"), r)
}

func notPrintable(r rune) bool { return r < ' ' || r > '~' }

// appendMetadata appends the property, nothing for none.
func appendMetadata(dst []byte, pairs []Pair) []byte {
	if len(pairs) == 0 {
		return dst
	}
	dst = append(dst, `,"metadata":{`...)
	for i, p := range pairs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst, _ = jsontext.AppendQuote(dst, p.Key)
		dst = append(dst, ':')
		dst, _ = jsontext.AppendQuote(dst, p.Value)
	}
	return append(dst, '}')
}
