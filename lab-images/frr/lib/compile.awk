# compile.awk -v out=FOLDER TOPOLOGY: checks a topology and writes what netlab and its tools read.
#
# The language, one statement a line, '#' begins a comment (README.md has an example):
#   node NAME router|host|switch
#   link NAME NODE:PORT ADDRESSES NODE:PORT ADDRESSES     ADDRESSES: A/LEN[,A/LEN…], or - for none
#   gateway NODE ADDRESS
#   frr NODE DAEMON...                                    zebra is always started, and first
#   count NODE NAME FROM TO                               counts packets that NODE forwards FROM → TO
#
# Written into FOLDER:
#   namespaces, wires   `ip -batch` files for the whole lab
#   node/NAME           `ip -batch` file of one node, run in its namespace
#   nft/NAME            `nft -f` file of a node that counts
#   nodes               NAME KIND DAEMON,DAEMON…
#   links               NAME NODE PORT NODE PORT
#   counters            NODE NAME
#   sockets             the vty socket of every FRR daemon

function fail(why) {
    print "netlab: " FILENAME ":" FNR ": " why > "/dev/stderr"
    failed = 1
    exit 2
}

function must_name(what, name, longest) {
    if (name !~ /^[a-z0-9][a-z0-9_.-]*$/ || length(name) > longest)
        fail(what " '" name "' must be 1-" longest " of a-z 0-9 _ . -, and begin with a letter or digit")
}

function must_node(name) {
    if (!(name in kind)) fail("'" name "' is no node (a node line must come first)")
}

function must_fields(count, form) {
    if (NF != count) fail("'" $0 "' must be: " form)
}

# The batch lines of one end of a link.
function plug(node, port, addresses,    list, count, i) {
    # 15: the kernel's limit on names of interfaces.
    must_name("the port", port, 15)
    if ((node, port) in used) fail(node " already has a port " port)
    used[node, port] = 1
    batch[node] = batch[node] "link set " port " up\n"
    if (kind[node] == "switch") {
        if (addresses != "-") fail(node " is a switch: its ports have no address (write -)")
        batch[node] = batch[node] "link set " port " master br0\n"
        return
    }
    if (addresses == "-") return
    count = split(addresses, list, ",")
    for (i = 1; i <= count; i++) {
        if (list[i] !~ /^[0-9a-fA-F.:]+\/[0-9]+$/) fail("'" list[i] "' is not an address with its prefix length, such as 10.0.0.1/24")
        # nodad: duplicate address detection would keep an IPv6 address unusable for the first second.
        batch[node] = batch[node] "address add " list[i] " dev " port (index(list[i], ":") ? " nodad" : "") "\n"
    }
}

{ sub(/#.*/, "") }
NF == 0 { next }

$1 == "node" {
    must_fields(3, "node NAME router|host|switch")
    must_name("the node", $2, 31)
    if ($2 in kind) fail("the node " $2 " is there twice")
    if ($3 != "router" && $3 != "host" && $3 != "switch") fail("'" $3 "' must be router, host or switch")
    kind[$2] = $3
    order[++nodes] = $2
    batch[$2] = "link set lo up\n"
    if ($3 == "switch") batch[$2] = batch[$2] "link add br0 type bridge\nlink set br0 up\n"
    print "netns add " $2 > (out "/namespaces")
    next
}

$1 == "link" {
    must_fields(6, "link NAME NODE:PORT ADDRESSES NODE:PORT ADDRESSES")
    must_name("the link", $2, 63)
    if ($2 in link) fail("the link " $2 " is there twice")
    link[$2] = 1
    if (split($3, a, ":") != 2 || split($5, b, ":") != 2) fail("the ends of link " $2 " must be NODE:PORT")
    must_node(a[1]); must_node(b[1])
    plug(a[1], a[2], $4)
    plug(b[1], b[2], $6)
    print "link add " a[2] " netns " a[1] " type veth peer name " b[2] " netns " b[1] > (out "/wires")
    print $2, a[1], a[2], b[1], b[2] > (out "/links")
    next
}

$1 == "gateway" {
    must_fields(3, "gateway NODE ADDRESS")
    must_node($2)
    if ($3 !~ /^[0-9a-fA-F.:]+$/) fail("'" $3 "' is not an address")
    gateway[$2] = gateway[$2] "route add default via " $3 "\n"
    next
}

$1 == "frr" {
    if (NF < 2) fail("'" $0 "' must be: frr NODE DAEMON...")
    must_node($2)
    if ($2 in frr) fail("frr " $2 " is there twice")
    if (kind[$2] != "router") fail($2 " is a " kind[$2] "; FRR runs on routers")
    frr[$2] = "zebra"
    for (i = 3; i <= NF; i++) if ($i != "zebra") frr[$2] = frr[$2] "," $i
    daemons = split(frr[$2], list, ",")
    for (i = 1; i <= daemons; i++) {
        if (list[i] !~ /^[a-z0-9]+$/) fail("'" list[i] "' is no FRR daemon")
        print "/run/frr/" $2 "/" list[i] ".vty" > (out "/sockets")
    }
    next
}

$1 == "count" {
    must_fields(5, "count NODE NAME FROM TO")
    must_node($2)
    must_name("the counter", $3, 31)
    family = index($4, ":") ? "ip6" : "ip"
    # With a prefix, no counter has the name of a keyword of nft.
    named[$2] = named[$2] "  counter carried-" $3 " { }\n"
    rules[$2] = rules[$2] "    " family " saddr " $4 " " family " daddr " $5 " counter name carried-" $3 "\n"
    print $2, $3 > (out "/counters")
    next
}

{ fail("'" $1 "' is unknown; a line begins with node, link, gateway, frr or count") }

END {
    if (failed) exit 2
    if (nodes == 0) { print "netlab: " FILENAME ": no node at all" > "/dev/stderr"; exit 2 }
    # Present even when empty, so that no reader has to ask.
    for (i = split("namespaces wires nodes links counters sockets failed events", list, " "); i > 0; i--) printf "" > (out "/" list[i])
    for (i = 1; i <= nodes; i++) {
        name = order[i]
        print name, kind[name], (name in frr ? frr[name] : "-") > (out "/nodes")
        # Gateways last: they need the addresses.
        file = out "/node/" name
        printf "%s%s", batch[name], gateway[name] > file
        close(file)
        if (name in named) {
            file = out "/nft/" name
            printf "table inet labwire {\n%s  chain carried {\n    type filter hook forward priority 0\n%s  }\n}\n", named[name], rules[name] > file
            close(file)
        }
    }
}
