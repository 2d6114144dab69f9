// tests/e2e/gossip_node: a member of a gossip cluster that does what the test tells it.
//
//	gossip_node -name a -bind 10.77.0.1 [-port 7946] [-key BASE64]... [-label TEXT] [-advertise IP]
//	gossip_node -labels          ends with 0 when this version of the library knows labels
//
// It is hashicorp/memberlist itself, so what it sends and takes is the format that counts. Commands
// come as lines on standard input, what happened goes out as lines of JSON on standard output:
//
//	join ADDRESS...              {"event":"joined","count":N} or {"event":"error",...}
//	send best|reliable NAME SIZE {"event":"sent","digest":...}; the receiver says "message"
//	members                      {"event":"members","members":{NAME:ADDRESS}}
//	leave                        {"event":"left"}, and the end
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

const leaveTimeout = 5 * time.Second

// ---- what is told --------------------------------------------------------------------------

type facts map[string]interface{}

var outMutex sync.Mutex

func tell(event string, more facts) {
	line := facts{"event": event}
	for key, value := range more {
		line[key] = value
	}
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	outMutex.Lock()
	defer outMutex.Unlock()
	fmt.Println(string(text))
}

func digest(message []byte) string {
	sum := sha256.Sum256(message)
	return hex.EncodeToString(sum[:])
}

// ---- what the library calls ----------------------------------------------------------------

type listener struct{}

func (listener) NodeMeta(limit int) []byte                  { return nil }
func (listener) GetBroadcasts(overhead, limit int) [][]byte { return nil }
func (listener) LocalState(join bool) []byte                { return []byte("UserStateOfTheNode") }
func (listener) MergeRemoteState(buf []byte, join bool)     {}

func (listener) NotifyMsg(message []byte) {
	tell("message", facts{"size": len(message), "digest": digest(message)})
}

func (listener) NotifyJoin(node *memberlist.Node)   { tell("member_joined", facts{"name": node.Name}) }
func (listener) NotifyLeave(node *memberlist.Node)  { tell("member_left", facts{"name": node.Name}) }
func (listener) NotifyUpdate(node *memberlist.Node) {}

// ---- commands ------------------------------------------------------------------------------

func find(list *memberlist.Memberlist, name string) (*memberlist.Node, error) {
	for _, node := range list.Members() {
		if node.Name == name {
			return node, nil
		}
	}
	return nil, fmt.Errorf("no member %s", name)
}

func send(list *memberlist.Memberlist, way, name, sizeText string) error {
	size, err := strconv.Atoi(sizeText)
	if err != nil {
		return err
	}
	node, err := find(list, name)
	if err != nil {
		return err
	}
	message := make([]byte, size) // random: cannot be compressed
	if _, err := rand.Read(message); err != nil {
		return err
	}
	if way == "best" {
		err = list.SendBestEffort(node, message)
	} else {
		err = list.SendReliable(node, message)
	}
	if err == nil {
		tell("sent", facts{"to": name, "size": size, "digest": digest(message)})
	}
	return err
}

func join(list *memberlist.Memberlist, addresses []string) error {
	count, err := list.Join(addresses)
	if err == nil {
		tell("joined", facts{"count": count})
	}
	return err
}

func members(list *memberlist.Memberlist) {
	found := map[string]string{}
	for _, node := range list.Members() {
		found[node.Name] = node.Address()
	}
	tell("members", facts{"members": found})
}

// True: go on with the next command.
func obey(list *memberlist.Memberlist, words []string) (bool, error) {
	switch {
	case len(words) >= 2 && words[0] == "join":
		return true, join(list, words[1:])
	case len(words) == 4 && words[0] == "send":
		return true, send(list, words[1], words[2], words[3])
	case len(words) == 1 && words[0] == "members":
		members(list)
		return true, nil
	case len(words) == 1 && words[0] == "leave":
		if err := list.Leave(leaveTimeout); err != nil {
			return true, err
		}
		tell("left", nil)
		return false, list.Shutdown()
	}
	return true, fmt.Errorf("unknown command: %s", strings.Join(words, " "))
}

func obeyAll(list *memberlist.Memberlist) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		goesOn, err := obey(list, strings.Fields(lines.Text()))
		if err != nil {
			tell("error", facts{"command": lines.Text(), "error": err.Error()})
		}
		if !goesOn {
			return
		}
	}
}

// ---- the start -----------------------------------------------------------------------------

type keyFlags [][]byte

func (keys *keyFlags) String() string { return "" }

func (keys *keyFlags) Set(text string) error {
	key, err := base64.StdEncoding.DecodeString(text)
	*keys = append(*keys, key)
	return err
}

// Where the library keeps the label; no valid value: it is of before 0.3.0, which had none.
func labelOf(config *memberlist.Config) reflect.Value {
	return reflect.ValueOf(config).Elem().FieldByName("Label")
}

func setLabel(config *memberlist.Config, label string) error {
	if label == "" {
		return nil
	}
	if !labelOf(config).IsValid() {
		return errors.New("this version of memberlist knows no labels")
	}
	labelOf(config).SetString(label)
	return nil
}

func settings() (*memberlist.Config, error) {
	var keys keyFlags
	var label string
	var asksForLabels bool
	config := memberlist.DefaultLANConfig()
	flag.StringVar(&config.Name, "name", "", "of the node")
	flag.StringVar(&config.BindAddr, "bind", "0.0.0.0", "address to listen on")
	flag.IntVar(&config.BindPort, "port", 7946, "UDP and TCP")
	flag.StringVar(&config.AdvertiseAddr, "advertise", "", "address that others are told")
	flag.BoolVar(&config.EnableCompression, "compress", true, "messages")
	flag.Var(&keys, "key", "base64; the first one encrypts; none: plaintext")
	flag.StringVar(&label, "label", "", "that everything carries")
	flag.BoolVar(&asksForLabels, "labels", false, "only say by the exit status whether there are any")
	flag.Parse()
	if asksForLabels {
		if labelOf(config).IsValid() {
			os.Exit(0)
		}
		os.Exit(1)
	}
	if err := setLabel(config, label); err != nil {
		return nil, err
	}

	config.AdvertisePort = config.BindPort
	config.Delegate = listener{}
	config.Events = listener{}
	config.LogOutput = os.Stderr
	// A probe over TCP would hide that packets are lost.
	config.DisableTcpPings = true
	if len(keys) > 0 {
		ring, err := memberlist.NewKeyring(keys, keys[0])
		if err != nil {
			return nil, err
		}
		config.Keyring = ring
	}
	return config, nil
}

func main() {
	config, err := settings()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	list, err := memberlist.Create(config)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	node := list.LocalNode()
	tell("ready", facts{"address": node.Address()})
	obeyAll(list)
}
