package data

// Judgment is what somebody has said of a row's answer.
type Judgment int8

const (
	Unjudged Judgment = iota // an answer to be learned
	Chosen                   // the better one of a pair, or a desirable one
	Rejected                 // the worse one of a pair, or an undesirable one
)

func (j Judgment) String() string { return [...]string{"", "chosen", "rejected"}[j] }

// MarshalText writes a Judgment as String does.
func (j Judgment) MarshalText() ([]byte, error) { return []byte(j.String()), nil }

// Unpair makes of every pair its two answers, each judged for itself, and keeps other rows.
func Unpair(rows []Row) []Row {
	all := make([]Row, 0, len(rows))
	for _, r := range rows {
		rejected := r.Rejected
		r.Rejected = nil
		if all = append(all, r); rejected != nil {
			rejected.Source, rejected.Task, rejected.HeldOut, rejected.Uncounted = r.Source, r.Task, r.HeldOut, r.Uncounted
			all = append(all, *rejected)
		}
	}
	return all
}
