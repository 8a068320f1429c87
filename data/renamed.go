package data

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/agora-ml/agora/internal/strictjson"
)

// ParseFields reads names of fields as --fields has them, each our=theirs: prompt=question.
func ParseFields(list []string) (map[string]string, error) {
	all := map[string]string{}
	for _, text := range list {
		ours, theirs, ok := strings.Cut(text, "=")
		if !ok || ours == "" || theirs == "" {
			return nil, fmt.Errorf("want a field of ours and the one of the rows, as prompt=question, got %.40q", text)
		}
		if _, again := all[ours]; again {
			return nil, fmt.Errorf("%s: want it once, got it again", ours)
		}
		all[ours] = theirs
	}
	return all, validateFields(all)
}

// validateFields returns an error for a name that no form knows, and for two that stand for one.
func validateFields(all map[string]string) error {
	known := slices.Concat(messageFields, turnFields)
	for _, f := range forms {
		known = append(known, f.fields...)
	}
	slices.Sort(known)
	known = slices.Compact(known)
	theirs := map[string]string{}
	for _, ours := range slices.Sorted(maps.Keys(all)) {
		if !slices.Contains(known, ours) {
			return fmt.Errorf("want a field that a form has (%s), got %.40q", strings.Join(known, ", "), ours)
		}
		if other, ok := theirs[all[ours]]; ok {
			return fmt.Errorf("want each field of the rows for one of ours, got %.40q for %s and %s", all[ours], other, ours)
		}
		theirs[all[ours]] = ours
	}
	return nil
}

// rename gives fields of a row, or of a message in one, the names that the forms know.
func (r *rowReader) rename(members []strictjson.Member, kind string) error {
	if len(r.names) == 0 {
		return nil
	}
	ofMessage := slices.Concat(messageFields, turnFields)
	has := map[string]bool{}
	for _, m := range members {
		has[m.Name] = true
	}
	for i, m := range members {
		for ours, theirs := range r.names {
			inMessage := slices.Contains(ofMessage, ours)
			inRow := !inMessage || ours == "weight"
			here := kind == "" && inRow || kind != "" && !strings.Contains(kind, ".") && inMessage
			if theirs != m.Name || !here || ours == theirs {
				continue
			}
			if has[ours] && !r.standsForAnother(ours) {
				return fmt.Errorf("want %q of --fields alone, got a field %q beside it", theirs, ours)
			}
			members[i].Name = ours
		}
	}
	return nil
}

// standsForAnother reports whether the rows' field of that name is one of ours under another name.
func (r *rowReader) standsForAnother(name string) bool {
	for _, theirs := range r.names {
		if theirs == name {
			return true
		}
	}
	return false
}
