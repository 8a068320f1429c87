package data

// parseCompletion reads a prompt and what should follow it.
func parseCompletion(o *object) (r Row, err error) {
	if r.Prompt, err = o.wantText("prompt"); err != nil {
		return r, err
	}
	if r.Answer, err = o.wantText("completion"); err != nil {
		return r, err
	}
	return r, o.rowWeight(&r)
}
