package tokenizer

// Byte-level models spell each byte by a letter in their files, so that every token is
// printable: bytes that print in Latin-1 as themselves, the others by U+0100 and on.

var byteLetters, letterBytes = func() (letters [256]rune, bytes map[rune]byte) {
	bytes = map[rune]byte{}
	next := rune(256)
	for b := range 256 {
		r := rune(b)
		if !(b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae) {
			r = next
			next++
		}
		letters[b], bytes[r] = r, byte(b)
	}
	return letters, bytes
}()

// fromLetters gives the bytes that s spells, if it is made of those letters alone.
func fromLetters(s string) (string, bool) {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		b, ok := letterBytes[r]
		if !ok {
			return "", false
		}
		out = append(out, b)
	}
	return string(out), true
}

// toLetters spells bytes.
func toLetters(s string) string {
	out := make([]rune, len(s))
	for i := range len(s) {
		out[i] = byteLetters[s[i]]
	}
	return string(out)
}
