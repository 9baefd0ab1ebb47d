package protocol

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// FuzzObject compares with package json: what one reads the other reads, to the same values.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` { "s" : "a" , "b" : true,"n":-3 ,"o":{"s":"x,}"},"l":[[{"s":"a"},{}],[]]}`, `{"S":"x","s":"y","B":null}`, `{"s":"\u00e9\"\\,}","n":12}`,
		`{"s":1}`, `{"b":"true"}`, `{"n":1.5}`, `{"n":1e3}`, `[]`, `null`, `"x"`, `{"o":[]}`, `{"l":[1]}`, `{"l":{}}`, `no`, ``, `{"s":"a"`, "{\"s\":\"\xff\"}", `{"a":[{"b":[1,2,"]"]}],"s":"z"}`,
	} {
		f.Add(seed)
	}
	type flat struct {
		S string
		B bool
		N int
		O struct{ S string }
		L [][]struct{ S string }
	}
	f.Fuzz(func(t *testing.T, text string) {
		var want, got flat
		wantErr := json.Unmarshal([]byte(text), &want)
		o := ReadObject("test", []byte(text))
		o.String("s", &got.S)
		o.Bool("b", &got.B)
		o.Int("n", &got.N)
		o.Object("o").String("s", &got.O.S)
		for _, list := range o.Lists("l") {
			inner := []struct{ S string }{}
			for _, e := range list {
				var s struct{ S string }
				e.String("s", &s.S)
				inner = append(inner, s)
			}
			got.L = append(got.L, inner)
		}
		if wantErr == nil && o.Err() != nil {
			t.Fatalf("%q: %v, and package json reads it", text, o.Err())
		}
		if !json.Valid([]byte(text)) && o.Err() == nil {
			t.Fatalf("%q: no error", text)
		}
		if a, b := fmt.Sprint(got), fmt.Sprint(want); wantErr == nil && strings.Count(text, ":") == 1 && a != b { // no field twice
			t.Errorf("%q: %s, package json: %s", text, a, b)
		}
	})
}

// What package json refuses or reads of these, Object refuses or reads too.
func TestObject(t *testing.T) {
	o := ReadObject("test", []byte(` {"a" : "\u00e9\"\\,}" ,"S":"folded","s":"exact","t":"first","t":"last","n":null,"i":12, "l":[ [ {"x":true} , {} ] ,[]],"o":{"b":true}} `))
	var a, s, last, n string
	var b bool
	var i int
	o.String("a", &a)
	o.String("s", &s)
	o.String("t", &last)
	o.String("n", &n)
	o.Int("i", &i)
	o.Object("o").Bool("B", &b)
	lists := o.Lists("l")
	if got := fmt.Sprint(a, s, last, n, i, b, len(lists), len(lists[0]), len(lists[1]), o.Err()); got != `é"\,}`+"exactlast12 true 2 2 0 <nil>" {
		t.Error(got)
	}
	for text, read := range map[string]func(Object){
		`{"s":1}`:      func(o Object) { o.String("s", new(string)) },
		`{"b":"true"}`: func(o Object) { o.Bool("b", new(bool)) },
		`{"n":1.5}`:    func(o Object) { o.Int("n", new(int)) },
		`{"o":[]}`:     func(o Object) { o.Object("o") },
		`{"l":[1]}`:    func(o Object) { o.Lists("l") },
		`{"m":{}}`:     func(o Object) { o.List("m") },
		`[]`:           func(Object) {},
		`{"s":"a"`:     func(Object) {},
		``:             func(Object) {},
	} {
		o := ReadObject("test", []byte(text))
		read(o)
		if o.Err() == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}
