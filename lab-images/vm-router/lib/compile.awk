# Reads a topology, writes OUT/machines ("NAME MIB" a line) and for each machine OUT/NAME/hardware (QEMU's
# arguments, one a line), OUT/NAME/memory and OUT/NAME/settings (words of the kernel's command line).
#
#   node NAME [MIB]                          a machine; 96 MiB when nothing is said
#   link NAME A:PORT ADDRESSES B:PORT ADDRESSES   a cable; ADDRESSES: "-" or 10.0.0.1/24[,2001:db8::1/64]
#   stub NODE:PORT ADDRESSES                 a network that nothing else is on
#   gateway NODE ADDRESS

# Below 80 a shell and a ping run out of it; a kernel command line has 2048 bytes, and 9 ports of 100 bytes leave room.
BEGIN { default_mib = 96; mib_min = 80; mib_max = 1024; ports_max = 9 }

function bad(what) {
  printf "vmlab: %s line %d: %s\n", FILENAME, FNR, what > "/dev/stderr"
  failed = 1
  exit 1
}

function end_of(text,   parts) {
  if (split(text, parts, ":") != 2 || !(parts[1] in mib)) bad("\"" text "\" is not NODE:PORT of a node above")
  if (parts[2] !~ /^[a-z][a-z0-9.-]*$/ || length(parts[2]) > 15) bad("\"" parts[2] "\" is not a port's name: at most 15 of a-z, 0-9, '.' and '-'")
  if ((parts[1], parts[2]) in port) bad(text " is used twice")
  port[parts[1], parts[2]] = 1
  if (++ports[parts[1]] > ports_max) bad(parts[1] " has more than " ports_max " ports")
  node = parts[1]
  name = parts[2]
}

function addresses_of(text) {
  if (text == "-") return ""
  if (text !~ /^[0-9a-f.:\/]+(,[0-9a-f.:\/]+)*$/ || text !~ /\//) bad("\"" text "\" is not an address with its length, like 10.0.0.1/24")
  return text
}

function plug(text, addresses, here, there,   mac) {
  end_of(text)
  mac = sprintf("52:54:00:00:%02x:%02x", number[node], ports[node])
  hardware[node] = hardware[node] "-netdev\ndgram,id=" name ",local.type=unix,local.path=" out "/cables/" here \
    ",remote.type=unix,remote.path=" out "/cables/" there "\n-device\nvirtio-net-device,netdev=" name ",mac=" mac "\n"
  gsub(":", "", mac)
  settings[node] = settings[node] " labwire.if=" name "," mac "," addresses_of(addresses)
}

{ sub(/#.*/, "") }
NF == 0 { next }

$1 == "node" && (NF == 2 || NF == 3) {
  if ($2 !~ /^[a-z][a-z0-9-]*$/ || length($2) > 20 || $2 == "cables") bad("\"" $2 "\" is not a name: at most 20 of a-z, 0-9 and '-'")
  if ($2 in mib) bad($2 " is named twice")
  if (NF == 3 && ($3 !~ /^[0-9]+$/ || $3 < mib_min || $3 > mib_max)) bad("\"" $3 "\" is not " mib_min " to " mib_max " MiB of memory")
  mib[$2] = NF == 3 ? $3 : default_mib
  number[$2] = ++count
  order[count] = $2
  next
}
$1 == "link" && NF == 6 {
  if ($2 !~ /^[a-z0-9-]+$/ || length($2) > 40) bad("\"" $2 "\" is not a link's name: at most 40 of a-z, 0-9 and '-'")
  if ($2 in link) bad($2 " is named twice")
  link[$2] = 1
  plug($3, $4, $2 ".a", $2 ".b")
  plug($5, $6, $2 ".b", $2 ".a")
  next
}
$1 == "stub" && NF == 3 {
  end_of($2)
  settings[node] = settings[node] " labwire.if=" name ",stub," addresses_of($3)
  next
}
$1 == "gateway" && NF == 3 {
  if (!($2 in mib)) bad("there is no node " $2 " above")
  if ($3 !~ /^[0-9.]+$/) bad("\"" $3 "\" is not an IPv4 address")
  settings[$2] = settings[$2] " labwire.gateway=" $3
  next
}
{ bad("\"" $1 "\" with " NF - 1 " words after it is none of: node NAME [MIB], link NAME A:PORT ADDRESSES B:PORT ADDRESSES, stub NODE:PORT ADDRESSES, gateway NODE ADDRESS") }

END {
  if (failed) exit 1
  if (!count) { print "vmlab: the topology has no machine" > "/dev/stderr"; exit 1 }
  for (n = 1; n <= count; n++) {
    node = order[n]
    system("mkdir -p " out "/" node)
    print node, mib[node] > (out "/machines")
    print mib[node] > (out "/" node "/memory")
    printf "%s", hardware[node] > (out "/" node "/hardware")
    print "labwire.name=" node settings[node] > (out "/" node "/settings")
  }
}
