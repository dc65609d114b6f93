package auth

import (
	"strings"
	"unicode/utf8"
)

const (
	maxHubName = 128

	// MaxGroupName is the length limit of a group's name in bytes.
	MaxGroupName = 1024
)

// ValidHub reports whether name can be the name of a hub: an ASCII letter, then
// letters, digits, and any of _ ` , . [ ]; at most 128 in all.
func ValidHub(name string) bool {
	if name == "" || len(name) > maxHubName || !isLetter(name[0]) {
		return false
	}
	for i := 1; i < len(name); i++ {
		if c := name[i]; !isAlnum(c) && !contains("_`,.[]", c) {
			return false
		}
	}
	return true
}

// CanonicalHub returns the one spelling under which a hub is kept: names that
// differ only in case mean the same hub. name must be valid.
func CanonicalHub(name string) string { return strings.ToLower(name) }

// ValidGroup reports whether name can be the name of a group: 1 to
// [MaxGroupName] bytes of UTF-8, and not white space alone. Names differ by
// case.
func ValidGroup(name string) bool {
	return len(name) <= MaxGroupName && utf8.ValidString(name) && strings.TrimSpace(name) != ""
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isAlnum(c byte) bool  { return isLetter(c) || isDigit(c) }

func contains(set string, c byte) bool { return strings.IndexByte(set, c) >= 0 }
