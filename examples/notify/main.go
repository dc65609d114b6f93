// Command notify sends a text to all connections of a user, with one HTTP call and
// the standard library.
//
//	SLUICE_KEY=… go run ./examples/notify -user alice "your order is on its way"
package main

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

func main() {
	user := flag.String("user", "", "who is told")
	hub := flag.String("hub", "chat", "the hub the user is in")
	flag.Parse()
	if err := notify(*hub, *user, strings.Join(flag.Args(), " ")); err != nil {
		fmt.Fprintln(os.Stderr, "notify:", err)
		os.Exit(1)
	}
}

func notify(hub, user, text string) error {
	api := cmp.Or(os.Getenv("SLUICE_API"), "http://127.0.0.1:8081")
	path := "/api/hubs/" + hub + "/users/" + url.PathEscape(user) + "/:send"
	req, err := http.NewRequest(http.MethodPost, api+path, bytes.NewBufferString(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/plain")
	req.Header.Set("Authorization", "Bearer "+token(os.Getenv("SLUICE_KEY"), "/api/hubs/"+hub))
	client := &http.Client{Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		answer, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("%s: %s", resp.Status, answer)
	}
	return nil
}

// token makes a JWT for calls about a hub, good for a minute.
func token(key, audience string) string {
	part := base64.RawURLEncoding
	signed := part.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		part.EncodeToString(fmt.Appendf(nil, `{"aud":%q,"exp":%d}`, audience, time.Now().Add(time.Minute).Unix()))
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(signed))
	return signed + "." + part.EncodeToString(mac.Sum(nil))
}
