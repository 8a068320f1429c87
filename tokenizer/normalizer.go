package tokenizer

import (
	"encoding/json"
	"fmt"

	"golang.org/x/text/unicode/norm"
)

// normalizers change a text before it is cut into words, one after the other.
type normalizers []func(string) string

func (n normalizers) apply(text string) string {
	for _, f := range n {
		text = f(text)
	}
	return text
}

func readNormalizer(raw json.RawMessage) (normalizers, error) {
	var all normalizers
	var grown growth
	err := sequenceOf(raw, "normalizer", "normalizers", func(kind, field string, raw json.RawMessage) error {
		switch kind {
		case "NFC":
			if err := strict(raw, field, &plain{}); err != nil {
				return err
			}
			all = append(all, norm.NFC.String)
		case "Prepend":
			var p struct {
				Type    string `json:"type"`
				Prepend string `json:"prepend"`
			}
			if err := strict(raw, field, &p); err != nil {
				return err
			}
			if p.Prepend == "" || len(p.Prepend) > maxGrowth {
				return fmt.Errorf("%s.prepend: want 1 to %v bytes, got %.80q", field, maxGrowth, p.Prepend)
			}
			all = append(all, func(text string) string {
				if text == "" {
					return ""
				}
				return p.Prepend + text
			})
		case "Replace":
			p, content, err := readReplace(raw, field, &grown)
			if err != nil {
				return err
			}
			all = append(all, func(text string) string { return p.replaceAll(text, content) })
		default:
			return unsupported(field, kind, "NFC", "Prepend", "Replace")
		}
		return nil
	})
	return all, err
}

// readReplace reads a Replace, which is a normalizer and a decoder.
func readReplace(raw json.RawMessage, field string, grown *growth) (*pattern, string, error) {
	var r struct {
		Type    string          `json:"type"`
		Pattern json.RawMessage `json:"pattern"`
		Content string          `json:"content"`
	}
	if err := strict(raw, field, &r); err != nil {
		return nil, "", err
	}
	p, err := readPattern(r.Pattern, field+".pattern")
	if err != nil {
		return nil, "", err
	}
	return p, r.Content, grown.replace(field, p, r.Content)
}
