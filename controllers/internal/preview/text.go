package preview

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// mostLines is how many warnings a preview has: more are not read.
	mostLines = 10

	// longestLine is how many bytes a warning has. The API server recommends 120 characters; it cuts at 256, and only where
	// all warnings of an answer together exceed 4096.
	longestLine = 120

	// mostNamed is how many names a line lists.
	mostNamed = 3

	// longestMargin is how many bytes of its subject's name a line begins with.
	longestMargin = 36

	ellipsis = "..."
)

// plain is a text of somebody else's as it can stand in a warning. The API server drops one that has control characters;
// clients decode what looks like an encoded word (RFC 2047) and drop what comes of it; and what is invisible or turns the
// direction of writing could make a line say something else.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != utf8.RuneError {
			return r
		}
		return ' '
	}, text)
	return strings.Join(strings.Fields(strings.ReplaceAll(text, "=?", "= ?")), " ")
}

// shorten cuts a text to what fits, where a word ends if that leaves the most of it.
func shorten(text string, longest int) string {
	if len(text) <= longest {
		return text
	}
	end := longest - len(ellipsis)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	short := text[:end]
	if space := strings.LastIndexByte(short, ' '); space > end/2 && text[end] != ' ' {
		short = short[:space]
	}
	return strings.TrimRight(short, " ,;:") + ellipsis
}

// pack sets clauses in at most so many lines, each of which begins with the margin. Those that find no room are counted.
func pack(margin, separator string, most int, clauses []string) []string {
	var lines []string
	line := margin
	for i := 0; i < len(clauses); {
		joined, room := line+separator+clauses[i], longestLine
		if line == margin {
			joined = line + clauses[i]
		}
		last := len(lines) == most-1
		if left := len(clauses) - i - 1; last && left > 0 {
			room -= len(separator + andMore(left))
		}
		switch {
		case len(joined) <= room:
			line = joined
			i++
		case line == margin:
			line = shorten(joined, room)
			i++
		case last:
			return append(lines, line+separator+andMore(len(clauses)-i))
		default:
			lines, line = append(lines, line), margin
		}
	}
	if line == margin {
		return lines
	}
	return append(lines, line)
}

func andMore(n int) string {
	return fmt.Sprintf("and %d more", n)
}

// counted is a number of things, in words.
func counted(n int64, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
