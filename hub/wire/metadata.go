package wire

import "bytes"

// Limits of one entry of metadata, in bytes. Metadata travels in HTTP headers to
// services, so it has the form of such.
const (
	maxMetadataKey   = 256
	maxMetadataValue = 1024
)

// maxPairs is how many entries metadata or a state has at most. It keeps the search
// for repeated keys short.
const maxPairs = 100

// metadata reads the metadata, if there is any.
func (d *Decoder) metadata(req *Request) {
	req.Metadata = d.texts(fieldMetadata, (*Decoder).checkMetadata)
}

// texts reads the object of strings in f, nil for none. check sees each entry, and
// how many bytes all of them have so far.
func (d *Decoder) texts(f field, check func(d *Decoder, p Pair, total int)) []Pair {
	switch {
	case d.raw[f] == nil || d.fault != nil:
		return nil
	case d.packed:
		return d.packedTexts(f, check)
	}
	d.pairs = d.pairs[:0]
	object, total := d.enter(f), 0
	for d.fault == nil && d.tokens.PeekKind() == '"' {
		p := Pair{Key: d.member(f, object), Value: d.member(f, object)}
		d.addPair(f, p, &total, check)
	}
	return d.pairs
}

// addPair checks one entry and keeps it; total is the bytes of all so far.
func (d *Decoder) addPair(f field, p Pair, total *int, check func(d *Decoder, p Pair, total int)) {
	*total += len(p.Key) + len(p.Value)
	if d.fault == nil {
		check(d, p, *total)
	}
	d.checkRepeated(f, p)
	d.pairs = append(d.pairs, p)
}

// member reads the next name or value of the object in f as text.
func (d *Decoder) member(f field, object []byte) []byte {
	v, _ := d.tokens.ReadValue()
	if d.fault != nil {
		return nil
	}
	if len(v) == 0 || v[0] != '"' {
		d.fail(f.String(), "want strings as values, got "+describe(v))
		return nil
	}
	end := int(d.tokens.InputOffset())
	return d.unquote(object[end-len(v) : end : end])
}

func (d *Decoder) checkRepeated(f field, p Pair) {
	for _, known := range d.pairs {
		if bytes.Equal(known.Key, p.Key) {
			d.fail(f.String(), "the key "+quoteShort(p.Key)+" is given twice")
		}
	}
}

func (d *Decoder) checkMetadata(p Pair, total int) {
	switch {
	case len(p.Key) == 0 || len(p.Key) > maxMetadataKey || bytes.IndexFunc(p.Key, notToken) >= 0:
		d.fail("metadata", "the key "+quoteShort(p.Key)+" is not a name of letters, digits and - _ .")
	case len(p.Value) > maxMetadataValue || bytes.IndexFunc(p.Value, notPrintable) >= 0:
		d.fail("metadata", "the value of "+quoteShort(p.Key)+" is too long or not printable ASCII")
	case total > MaxMetadata || len(d.pairs) == maxPairs:
		d.fail("metadata", "too large")
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
	dst = append(dst, `,"metadata":`...)
	return appendPairs(dst, pairs)
}

// appendPairs appends an object of strings.
func appendPairs(dst []byte, pairs []Pair) []byte {
	dst = append(dst, '{')
	for i, p := range pairs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, p.Key)
		dst = append(dst, ':')
		dst = appendString(dst, p.Value)
	}
	return append(dst, '}')
}
