package train

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Every record has every field: a value of 0 is there, and what its kind knows nothing of
// is null.
func TestRecordsHaveEveryField(t *testing.T) {
	const fields = "kind step loss held_out_loss lr grad_norm loss_scale skipped rows tokens counted tokens_per_s peak_bytes processes tasks preference scores s_norm changed other_bits seconds time"
	zero := 0.0
	for name, c := range map[string]struct {
		record Record
		null   string
	}{
		"step": {Record{Kind: KindStep, Loss: &zero},
			"processes held_out_loss loss_scale tasks preference scores s_norm changed other_bits"},
		"skipped": {Record{Kind: KindStep, Loss: &zero, Skipped: true, GradNorm: 3, LossScale: 2},
			"processes held_out_loss grad_norm tasks preference scores s_norm changed other_bits"},
		"f16": {Record{Kind: KindStep, Loss: &zero, LossScale: 1},
			"processes held_out_loss tasks preference scores s_norm changed other_bits"},
		"norms": {Record{Kind: KindStep, Loss: &zero, ScalingNorms: map[string]float64{"a": 0}},
			"processes held_out_loss loss_scale tasks preference scores changed other_bits"},
		"tasks": {Record{Kind: KindMeasurement, HeldOutLoss: &zero,
			Tasks: map[string]TaskLoss{"a": {Loss: 1, Counted: 2}}},
			"processes loss lr grad_norm loss_scale skipped rows tokens counted tokens_per_s peak_bytes preference scores s_norm changed other_bits"},
		"preference": {Record{Kind: KindMeasurement, HeldOutLoss: &zero,
			Preference: &PreferenceMetrics{Answers: 2, Accuracy: 0.5, Margin: &zero}},
			"processes loss lr grad_norm loss_scale skipped rows tokens counted tokens_per_s peak_bytes tasks scores s_norm changed other_bits"},
		"measurement": {Record{Kind: KindMeasurement, HeldOutLoss: &zero},
			"processes loss lr grad_norm loss_scale skipped rows tokens counted tokens_per_s peak_bytes tasks preference scores s_norm changed other_bits"},
		"change": {Record{Kind: KindChange, Changed: []RateChange{{}}},
			"processes loss held_out_loss lr grad_norm loss_scale skipped rows tokens counted tokens_per_s peak_bytes tasks preference scores s_norm other_bits"},
		"no kind": {Record{Loss: &zero}, "processes held_out_loss loss_scale tasks preference scores s_norm changed other_bits"},
	} {
		text, err := json.Marshal(c.record)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if want := strings.Fields(fields); len(got) != len(want) {
			t.Errorf("%s: %d fields, want %d: %s", name, len(got), len(want), text)
		}
		for _, field := range strings.Fields(fields) {
			v, ok := got[field]
			if null := slices.Contains(strings.Fields(c.null), field); !ok || null != (v == nil) {
				t.Errorf("%s: field %s is %v (there: %v), want null: %v", name, field, v, ok, null)
			}
		}
		again, err := parseRecords(bytes.NewReader(append(text, '\n')))
		if c.record.Kind = c.record.kind(); c.record.Skipped {
			c.record.GradNorm = 0
		}
		if err != nil || len(again) != 1 || !reflect.DeepEqual(again[0], c.record) {
			t.Errorf("%s: read again it is %+v, %v", name, again, err)
		}
	}
}

// Earlier versions told no kind and left out what is 0.
func TestRecordsOfEarlierVersions(t *testing.T) {
	const old = `{"step":0,"held_out_loss":4,"seconds":1,"time":5}
{"step":1,"loss":4.5,"grad_norm":2,"rows":3,"tokens":9,"counted":4,"seconds":2,"time":6}
{"step":1,"changed":[{"step":1,"setting":"lr","from":1,"to":2}],"seconds":2,"time":6}
{"step":2,"loss":0,"loss_scale":2,"skipped":true,"seconds":2,"time":6}
`
	records, err := parseRecords(strings.NewReader(old))
	if err != nil {
		t.Fatal(err)
	}
	zero, loss, held := 0.0, 4.5, 4.0
	want := []Record{
		{Kind: KindMeasurement, HeldOutLoss: &held, Seconds: 1, Time: 5},
		{Kind: KindStep, Step: 1, Loss: &loss, GradNorm: 2, Rows: 3, Tokens: 9, Counted: 4, Seconds: 2, Time: 6},
		{Kind: KindChange, Step: 1, Changed: []RateChange{{1, "lr", 1, 2}}, Seconds: 2, Time: 6},
		{Kind: KindStep, Step: 2, Loss: &zero, LossScale: 2, Skipped: true, Seconds: 2, Time: 6},
	}
	if !reflect.DeepEqual(records, want) {
		t.Errorf("got  %+v\nwant %+v", records, want)
	}
}

func TestRecordsThatAreNone(t *testing.T) {
	const good = `{"step":1,"loss":1,"seconds":1,"time":1}` + "\n"
	for text, want := range map[string]string{
		`{"step":1,"step":2}`:             "line 2: want a record: field step: want each name once, got it twice",
		`{"step":1.5}`:                    "line 2: want a record: field step: want a whole number of 64 bits, got the number 1.5",
		`{"step":-1}`:                     "line 2: field step: want at least 0, got -1",
		`{"step":1,"loss":"low"}`:         "line 2: want a record: field loss: want a number, got a string",
		`{"step":1,"kind":"dance"}`:       `line 2: field kind: want step, measurement or change, got "dance"`,
		`null`:                            "line 2: want a record: want an object, got \"null\"",
		`[]`:                              "line 2: want a record: want an object",
		`{"step":1,"kind":"a` + "\xff\"}": "line 2: want a record: field kind: want text in UTF-8, got other bytes",
		`{"step":1} {"step":2}`:           "line 2: want a record: ",
		strings.Repeat(" ", maxRecord+1):  "line 2: want at most 4194304 bytes, got more",
	} {
		if _, err := parseRecords(strings.NewReader(good + text + "\n")); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: got %v, want %s", text, err, want)
		}
	}
	// Another spelling is another name, and passed over.
	if r, err := parseRecords(strings.NewReader(`{"step":1,"Step":7,"LOSS":3}` + "\n")); err != nil ||
		r[0].Step != 1 || r[0].Loss != nil {
		t.Errorf("names are case-sensitive: got %+v, %v", r, err)
	}
}

// What is read is written so that it is read alike.
func FuzzRecords(f *testing.F) {
	f.Add([]byte(`{"kind":"step","step":1,"loss":4.5,"held_out_loss":null,"lr":0,"grad_norm":2,"loss_scale":null,"skipped":false,"rows":3,"tokens":9,"counted":4,"tokens_per_s":0.5,"peak_bytes":7,"s_norm":{"a":0},"changed":null,"seconds":2,"time":6}` + "\n"))
	f.Add([]byte(`{"step":0,"held_out_loss":4,"seconds":1,"time":5}` + "\n\n" +
		`{"step":2,"loss":0,"loss_scale":2,"skipped":true}` + "\n" + `{"step":`))
	f.Add([]byte(`{"kind":"change","step":1,"changed":[{"step":1,"setting":"lr","from":1,"to":2}]}` + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		records, err := parseRecords(bytes.NewReader(text))
		if err != nil {
			return
		}
		var again bytes.Buffer
		for _, r := range records {
			line, err := json.Marshal(r)
			if err != nil {
				t.Fatalf("%+v cannot be written: %v", r, err)
			}
			again.Write(append(line, '\n'))
		}
		got, err := parseRecords(&again)
		if err != nil {
			t.Fatalf("%q: %v", again.String(), err)
		}
		for i := range got {
			if a, b := must(json.Marshal(records[i])), must(json.Marshal(got[i])); !bytes.Equal(a, b) {
				t.Fatalf("%s is read as %s", a, b)
			}
		}
	})
}

func must(text []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return text
}
