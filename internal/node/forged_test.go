package node

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/auth"
	"sluice/internal/config"
	"sluice/internal/testkit"
)

// jwt returns a token with that header and these claims, and the signature that
// sign makes of them.
func jwt(header, claims string, sign func(text []byte) []byte) string {
	text := b64([]byte(header)) + "." + b64([]byte(claims))
	return text + "." + b64(sign([]byte(text)))
}

func hs256(secret []byte) func([]byte) []byte {
	return func(text []byte) []byte {
		mac := hmac.New(sha256.New, secret)
		mac.Write(text)
		return mac.Sum(nil)
	}
}

func rs256(t *testing.T, key *rsa.PrivateKey) func([]byte) []byte {
	return func(text []byte) []byte {
		digest := sha256.Sum256(text)
		b, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

func unsigned([]byte) []byte { return nil }

func newRSA(t *testing.T) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// handshake returns the status of an opening handshake with a token.
func (n *Node) handshake(t *testing.T, token string) int {
	t.Helper()
	c := testkit.Dial(t, "tcp", n.Addrs()[0].String())
	defer c.Close()
	c.WriteString(testkit.Head("/client/hubs/chat", subprotocol, "Authorization: Bearer "+token))
	return c.ReadResponse().StatusCode
}

// TestForgedTokens: what a client can make of a public key, of another's token or of
// nothing lets it in nowhere, costs nobody else anything, and is counted.
func TestForgedTokens(t *testing.T) {
	key := newRSA(t)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	n := startNode(t, func(c *config.Config) {
		c.Auth.Keys = append(c.Auth.Keys, auth.Key{ID: "rsa", PublicKey: string(public)})
	})
	friend := dial(t, n, auth.Claims{Roles: []string{"sluice.sendToGroup"}, Groups: []string{"g"}})
	friend.ReadText()
	claims := fmt.Sprintf(`{"aud":"https://h/client/hubs/chat","sub":"eve","exp":%d}`, time.Now().Add(time.Hour).Unix())
	if got := n.handshake(t, jwt(`{"alg":"RS256","kid":"rsa"}`, claims, rs256(t, key))); got != http.StatusSwitchingProtocols {
		t.Fatalf("the good token that the others are made of: %d", got)
	}
	good := mint(t, auth.Claims{User: "bob"})
	parts := strings.Split(good, ".")
	for _, tt := range []struct {
		name, token string
		reason      auth.Reason
	}{
		{"the public key as a secret", jwt(`{"alg":"HS256","kid":"rsa"}`, claims, hs256(public)), auth.TokenAlgorithm},
		{"the same, its name left out", jwt(`{"alg":"HS256"}`, claims, hs256(public)), auth.TokenSignature},
		{"the same, in DER", jwt(`{"alg":"HS256","kid":"rsa"}`, claims, hs256(der)), auth.TokenAlgorithm},
		{"none", jwt(`{"alg":"none"}`, claims, unsigned), auth.TokenAlgorithm},
		{"None", jwt(`{"alg":"None"}`, claims, unsigned), auth.TokenAlgorithm},
		{"nOnE of a key", jwt(`{"alg":"nOnE","kid":"rsa"}`, claims, unsigned), auth.TokenAlgorithm},
		{"no algorithm", jwt(`{}`, claims, unsigned), auth.TokenAlgorithm},
		{"RS256 unsigned", jwt(`{"alg":"RS256","kid":"rsa"}`, claims, unsigned), auth.TokenSignature},
		{"HS256 unsigned", jwt(`{"alg":"HS256"}`, claims, unsigned), auth.TokenSignature},
		{"an empty secret", jwt(`{"alg":"HS256"}`, claims, hs256(nil)), auth.TokenSignature},
		{"a key of its own", jwt(`{"alg":"RS256","kid":"rsa"}`, claims, rs256(t, newRSA(t))), auth.TokenSignature},
		{"a key that it brings along", jwt(`{"alg":"RS256","jwk":{"kty":"RSA","n":"AQAB","e":"AQAB"},"jku":"http://127.0.0.1:1/"}`, claims, rs256(t, newRSA(t))), auth.TokenSignature},
		{"an extension that must be understood", jwt(`{"alg":"HS256","crit":["b64"],"b64":false}`, claims, hs256([]byte(testKey))), auth.TokenMalformed},
		{"another's claims", parts[0] + "." + b64([]byte(claims)) + "." + parts[2], auth.TokenSignature},
		{"another's, cut", good[:len(good)-3], auth.TokenSignature},
		{"two tokens", good + "." + good, auth.TokenMalformed},
		{"too large", good + strings.Repeat("A", 9<<10), auth.TokenTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			series := rejected(string(tt.reason))
			before := n.count(t, series)
			if got := n.handshake(t, tt.token); got != http.StatusUnauthorized {
				t.Errorf("status %d", got)
			}
			if got := n.count(t, series) - before; got != 1 {
				t.Errorf("counted %v times as %s", got, tt.reason)
			}
			friend.WriteText(`{"type":"sendToGroup","group":"g","dataType":"text","data":"hello"}`)
			if got := friend.ReadText(); !strings.Contains(got, "hello") {
				t.Errorf("a friend got %s", got)
			}
		})
	}
}

// publisher is a provider whose document of keys is what the test says.
type publisher struct {
	*httptest.Server
	document atomic.Pointer[string]
}

func startPublisher(t *testing.T, document string) *publisher {
	p := &publisher{}
	p.says(document)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(*p.document.Load()))
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *publisher) says(document string) { p.document.Store(&document) }

// trusting runs a node that takes the tokens of the provider.
func (p *publisher) trusting(t *testing.T, patience time.Duration) *Node {
	return startNode(t, func(c *config.Config) {
		c.Engine.HandshakeTimeout = patience // for keys that do not come
		c.Auth.Issuers = []auth.Issuer{{Issuer: p.URL, JWKSURL: p.URL + "/keys", Audience: []string{"sluice"}}}
	})
}

func (p *publisher) claims() string {
	return fmt.Sprintf(`{"iss":%q,"aud":"sluice","sub":"ann","exp":%d}`, p.URL, time.Now().Add(time.Hour).Unix())
}

// jwk returns a key as a provider publishes it.
func jwk(kid string, key *rsa.PublicKey) string {
	return fmt.Sprintf(`{"kty":"RSA","kid":%q,"n":%q,"e":"AQAB"}`, kid, b64(key.N.Bytes()))
}

// TestPoisonedKeys: whoever can change what a provider publishes, but not its keys,
// gets no further than to have them missing.
func TestPoisonedKeys(t *testing.T) {
	good, other := newRSA(t), newRSA(t)
	modulus, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 512))
	if err != nil {
		t.Fatal(err)
	}
	weak := jwk("one", &rsa.PublicKey{N: modulus.SetBit(modulus.SetBit(modulus, 511, 1), 0, 1), E: 65537})
	secret := []byte("a secret that everybody can read")
	shared := fmt.Sprintf(`{"kty":"oct","kid":"one","alg":"HS256","k":%q}`, b64(secret))
	der, err := x509.MarshalPKIXPublicKey(good.Public())
	if err != nil {
		t.Fatal(err)
	}
	mine := jwk("one", &good.PublicKey)
	const fetched, failed = "ok", "failed"
	for _, tt := range []struct {
		name, document string
		fetch          string
		want           int // of the token that is signed with the good key
	}{
		{"good", `{"keys":[` + mine + `]}`, fetched, 101},
		{"a secret beside it", `{"keys":[` + shared + `,` + mine + `]}`, fetched, 101},
		{"nothing but a secret", `{"keys":[` + shared + `]}`, failed, 503},
		{"a secret's algorithm", `{"keys":[` + strings.Replace(mine, `"kid"`, `"alg":"HS256","kid"`, 1) + `]}`, failed, 503},
		{"RSA of 512 bits", `{"keys":[` + weak + `]}`, failed, 503},
		{"RSA of 512 bits beside it", `{"keys":[` + weak + `,` + mine + `]}`, fetched, 101},
		{"another key of the same name, second", `{"keys":[` + mine + `,` + jwk("one", &other.PublicKey) + `]}`, fetched, 101},
		{"another key of the same name, first", `{"keys":[` + jwk("one", &other.PublicKey) + `,` + mine + `]}`, fetched, 101},
		{"keys twice", `{"keys":[` + mine + `],"keys":[` + jwk("one", &other.PublicKey) + `]}`, failed, 503},
		{"10 MB", `{"keys":[` + mine + `],"x":"` + strings.Repeat("x", 10<<20) + `"}`, failed, 503},
		{"10,000 keys", `{"keys":[` + strings.Repeat(shared+",", 10_000) + mine + `]}`, failed, 503},
		{"deep", `{"keys":` + strings.Repeat("[", 100_000), failed, 503},
		{"not JSON", `<html>`, failed, 503},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := startPublisher(t, tt.document)
			patience := testkit.Patience
			if tt.want == 503 {
				patience = 500 * time.Millisecond
			}
			n := p.trusting(t, patience)
			testkit.Eventually(t, testkit.Patience, func() bool {
				return n.count(t, `sluice_issuer_key_fetches_total{result="`+tt.fetch+`"}`) >= 1
			}, tt.fetch)
			if got := n.handshake(t, jwt(`{"alg":"RS256","kid":"one"}`, p.claims(), rs256(t, good))); got != tt.want {
				t.Errorf("a good token: %d, want %d", got, tt.want)
			}
			for name, forged := range map[string]string{
				"the published secret":       jwt(`{"alg":"HS256","kid":"one"}`, p.claims(), hs256(secret)),
				"the public key as a secret": jwt(`{"alg":"HS256","kid":"one"}`, p.claims(), hs256(der)),
				"a stranger's key":           jwt(`{"alg":"RS256","kid":"one"}`, p.claims(), rs256(t, newRSA(t))),
				"nothing":                    jwt(`{"alg":"none","kid":"one"}`, p.claims(), unsigned),
			} {
				if got := n.handshake(t, forged); got != 401 && got != 503 {
					t.Errorf("signed with %s: %d", name, got)
				}
			}
			if got := n.handshake(t, mint(t, auth.Claims{})); got != 101 {
				t.Errorf("a token of the house: %d", got)
			}
		})
	}
}

// TestKeysReplaced: a provider replaces its key, even under the same name. Who is
// connected stays, tokens of the new key let in, and those of the old one no more.
func TestKeysReplaced(t *testing.T) {
	before, after := newRSA(t), newRSA(t)
	p := startPublisher(t, `{"keys":[`+jwk("one", &before.PublicKey)+`]}`)
	n := p.trusting(t, testkit.Patience)
	was := jwt(`{"alg":"RS256","kid":"one"}`, p.claims(), rs256(t, before))
	testkit.Eventually(t, testkit.Patience, func() bool { return n.handshake(t, was) == 101 }, "the first key is here")
	live := testkit.DialWebSocket(t, n.Addrs()[0].String(), "/client/hubs/chat", subprotocol, "Authorization: Bearer "+was)
	live.ReadText()

	p.says(`{"keys":[` + jwk("one", &after.PublicKey) + `,` + jwk("two", &after.PublicKey) + `]}`)
	for _, kid := range []string{"two", "one"} { // that of an unknown name has the provider asked, after a while
		testkit.Eventually(t, testkit.Patience, func() bool {
			return n.handshake(t, jwt(`{"alg":"RS256","kid":"`+kid+`"}`, p.claims(), rs256(t, after))) == 101
		}, "the second key is here as "+kid)
	}
	refusals := n.count(t, rejected(string(auth.TokenSignature)))
	if got := n.handshake(t, was); got != http.StatusUnauthorized {
		t.Errorf("a token of the old key: %d", got)
	}
	if got := n.count(t, rejected(string(auth.TokenSignature))); got != refusals+1 {
		t.Errorf("%v refusals counted, before %v", got, refusals)
	}
	live.WriteText(`{"type":"ping"}`)
	if got := live.ReadText(); got != `{"type":"pong"}` {
		t.Errorf("who was connected got %s", got)
	}
}
