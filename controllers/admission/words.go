package admission

import (
	"fmt"
	"strings"
)

// mostNamed is how many names a refusal lists.
const mostNamed = 10

// few lists names, and how many more there are.
func few(names []string) string {
	if len(names) > mostNamed {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:mostNamed], ", "), len(names)-mostNamed)
	}
	return strings.Join(names, ", ")
}

// escape writes a key into a JSON pointer (RFC 6901).
var escape = strings.NewReplacer("~", "~0", "/", "~1")
