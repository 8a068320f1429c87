// Program mnist trains a small convolutional network to read digits: those of IDX files, as
// MNIST's are, or digits that it draws itself.
//
//	go run ./examples/mnist
//	go run ./examples/mnist -images train-images-idx3-ubyte.gz -labels train-labels-idx1-ubyte.gz \
//		-test-images t10k-images-idx3-ubyte.gz -test-labels t10k-labels-idx1-ubyte.gz -steps 2000
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"

	"github.com/agora-ml/agora/device"
)

func main() {
	images := flag.String("images", "", "IDX file of images, may be .gz (default: drawn digits)")
	labels := flag.String("labels", "", "IDX file of their labels")
	testImages := flag.String("test-images", "", "IDX file of images to test with")
	testLabels := flag.String("test-labels", "", "IDX file of their labels")
	steps := flag.Int("steps", 300, "training steps")
	name := flag.String("device", "auto", "where to compute: auto, cpu or vulkan")
	flag.Parse()
	if err := run(*images, *labels, *testImages, *testLabels, *steps, *name); err != nil {
		log.Fatal(err)
	}
}

func run(images, labels, testImages, testLabels string, steps int, name string) error {
	r := rand.New(rand.NewPCG(1, 2))
	train, test := draw(r, 4000), draw(r, 1000)
	if given := images != ""; given != (labels != "") || given != (testImages != "") || given != (testLabels != "") {
		return errors.New("want all of -images, -labels, -test-images and -test-labels, or none")
	} else if given {
		var err error
		if train, err = readIDX(images, labels); err != nil {
			return err
		}
		if test, err = readIDX(testImages, testLabels); err != nil {
			return err
		}
		if test.height != train.height || test.width != train.width {
			return fmt.Errorf("%s has images of %d x %d, %s of %d x %d", testImages, test.height, test.width, images,
				train.height, train.width)
		}
	}
	d, err := device.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	m := newNetwork(d, train.height, train.width)
	if err := fit(d, m, train, r, steps); err != nil {
		return err
	}
	right, err := m.accuracy(d, test)
	if err != nil {
		return err
	}
	fmt.Printf("%.1f %% of %d digits that it has not seen are read right\n", 100*right, len(test.labels))
	return nil
}
