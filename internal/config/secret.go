package config

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"sluice/auth"

	"go.yaml.in/yaml/v3"
)

// fileSuffix makes of the key of a secret the key of the path of a file that
// holds it: wherever there is secret there is secret_file.
const fileSuffix = "_file"

// maxSecret bounds what is read of such a file, in bytes.
const maxSecret = 64 << 10

func isSecret(t reflect.Type) bool { return t == reflect.TypeFor[auth.Secret]() }

// secret gives v its value from text or, when f says so, from the file at that
// path.
func (d *decoder) secret(key string, n *yaml.Node, v reflect.Value, f field) {
	origin, other := d.at(n.Line), key+fileSuffix
	if f.file {
		other = strings.TrimSuffix(key, fileSuffix)
		origin.SecretFile = n.Value
	}
	if old, ok := d.origins[other]; ok && old.Source == origin.Source {
		d.problem(key, n.Line, fmt.Sprintf("%s has the same secret; remove one", old))
		return
	}
	delete(d.origins, other) // overridden
	d.origins[key] = origin
	text := n.Value
	if f.file {
		var err error
		if text, err = readSecret(n.Value); err != nil {
			d.problem(key, n.Line, err.Error())
			return
		}
	}
	v.SetString(text)
}

// readSecret reads a file of one line. Editors and echo put an end of line
// there, which is no part of the secret.
func readSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", err
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case len(data) > maxSecret:
		return "", fmt.Errorf("%s: longer than %d bytes, so it holds no secret", path, maxSecret)
	case text == "":
		return "", fmt.Errorf("%s: the file is empty", path)
	case strings.ContainsAny(text, "\r\n"):
		return "", fmt.Errorf("%s: more than one line; the secret must be the only one", path)
	}
	return text, nil
}
