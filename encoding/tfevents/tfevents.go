// Package tfevents writes and reads TensorBoard's event files: scalars over the steps
// of a training.
//
// A file is a sequence of TFRecords (record.go), each an Event message of
// tensorflow/core/util/event.proto (event.go). The first event says which version of
// the format the file has.
package tfevents

// version is what the first event of a file says.
const version = "brain.Event:2"

// Scalar is a number with the name of the curve it belongs to, such as "loss/train".
// TensorBoard groups curves by what stands before the first slash.
type Scalar struct {
	Tag   string
	Value float32
}

// Event is one record of a file.
type Event struct {
	WallTime    float64 // seconds since 1970
	Step        int64
	FileVersion string   // of the first event only
	Scalars     []Scalar // numeric values; a file's images, histograms and graphs are passed over
}
