package login

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"

	"github.com/go-json-experiment/json"
)

// sealer encrypts and authenticates what browsers keep for the node, with a key
// that nobody but this process has and that ends with it (AES-256-GCM).
type sealer struct{ aead cipher.AEAD }

func newSealer() sealer {
	var key [32]byte
	rand.Read(key[:])
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the length of the key is right
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has the block size of GCM
	}
	return sealer{aead}
}

// maxSealed bounds what is opened, in bytes: browsers keep no longer cookies.
const maxSealed = 4096

var errForged = errors.New("not sealed by this process")

// seal returns a value as text that is safe in cookies and URLs.
func (s sealer) seal(v any) string {
	plain, err := json.Marshal(v)
	if err != nil {
		panic(err) // the types here can be encoded
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, nil))
}

// open reads what seal returned into a value.
func (s sealer) open(text string, v any) error {
	if len(text) > maxSealed {
		return errForged
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return errForged
	}
	plain, err := s.aead.Open(nil, nil, sealed, nil)
	if err != nil {
		return errForged
	}
	return json.Unmarshal(plain, v)
}
