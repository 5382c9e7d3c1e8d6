extension RackFile {
  /// A rack file that shows every key, with what it means (`hotrack config example`). Lines that begin
  /// with `# ` and a key are what holds without them.
  public static let example = """
    # The rack file: what `hotrack controller --config FILE` is told about its rack.
    # `hotrack config check FILE` says whether it is right. Lines with a leading `#` and a value show
    # what holds without them. Times are in milliseconds, rates in requests per second.

    [rack]
    # 1 to 32 lower-case letters, digits and dashes. Names the rack's files and pins.
    name = "demo"
    # Where clients send their requests: an IPv4 or IPv6 address of this host, and a UDP port. Clients and
    # servers have addresses of the same kind.
    address = "10.18.0.1"
    # port = 18516
    # The UDP port on this host where servers answer the controller; another one than `port`.
    # control_port = 18517
    # The seed of the key hash, the same for all that share keys; 0 to 9223372036854775807.
    # hash_seed = 0
    # A file with 16 random bytes that only its owner may read, the same for all servers of the rack: what
    # they and the directory say to each other carries a tag under this key, and nothing else is taken
    # for theirs. Absolute. Not set unless given, as in: rack_key_file = "/etc/hotrack/demo.key"
    # Servers that a write is on before it is acknowledged: 1, or 2, so that nothing is lost with one
    # server. With 2 servers keep their keys in memory.
    # copies = 1

    [directory]
    # "switch": all packets between clients and servers pass this host. "one-arm": they are all on one
    # network, and this host answers for the rack's address.
    # mode = "switch"
    # Where packets are handled. "xdp": in the interfaces' drivers. "tc": at TC ingress, behind any XDP
    # program (Linux 6.6); dearer. "auto": on XDP, unless a driver cannot or frames would be lost.
    # plane = "auto"
    # The interfaces that get the program: those towards clients and those towards servers. In
    # one-arm mode there is one.
    interfaces = ["eth0", "eth1", "eth2"]
    # Buckets of the directory, four hot keys each: a power of two from 1 to 1048576.
    # buckets = 2048
    # Versions that a hot key may fall behind before it is refreshed: a power of two from 16 to
    # 1073741824. Smaller ones are for tests.
    # window = 1073741824
    # The file with the directory's epoch and what its servers are known to have. Absolute.
    # state_file = "/var/lib/hotrack/demo.state"
    # The control socket, for `hotrack status`, `keys`, `top` and others. Absolute, at most 107 bytes.
    # socket = "/run/hotrack/demo/controller.socket"

    # Which keys become hot. A share is relative to what one server would carry if all requests were
    # spread evenly.
    [policy]
    # false: no key is promoted unless that is asked for (plain hashing).
    # promotion = true
    # Keys that are hot at the same time, at most; 0 to 65536.
    # hot_keys_max = 512
    # A key with this share or more is promoted, and a hot key with that share or less is demoted.
    # promote_share = 0.01
    # demote_share = 0.003
    # A key with this share or more of the last 100 ms is promoted at once.
    # urgent_share = 0.015
    # Keys with fewer requests per second are not promoted whatever their share.
    # minimum_rate = 20
    # A key stays hot at least so long, and after a demotion cold.
    # minimum_stay_ms = 3000
    # Between two rounds of decisions.
    # interval_ms = 20
    # Promotions and demotions, on average per second and at once.
    # moves_per_second = 100
    # moves_burst = 128
    # Copies of a hot key's newest version beside the server that has it, at most; 0 to 31.
    # copies_max = 31
    # Reads of a hot key go to "load", the less loaded of two of its holders, or "round-robin".
    # choice = "load"
    # Slots move between living servers until each has its share; if not, only when one is drained.
    # rebalance = true
    # Keys that such moves may send from server to server per second.
    # moved_keys_per_second = 50000
    # A server whose probes take so long and four times as long as the others', or at which so many
    # requests wait and four times as many as elsewhere, is slow: load moves away from it, once that
    # has lasted so long, and back so long after it has ended. slow_probe_ms = 0: never.
    # slow_probe_ms = 100
    # slow_load = 100
    # slow_after_ms = 2000
    # slow_recovery_ms = 10000
    # Samples per second that the data plane is asked for, at most.
    # samples_per_second = 100000
    # Keys whose rate is estimated at the same time; 16 to 1000000.
    # watched_keys = 2048
    # Between two probes of a server, and until one that does not answer counts as lost; as away, if
    # its storage is durable, and then as lost.
    # probe_ms = 100
    # server_timeout_ms = 2000
    # return_timeout_ms = 30000
    # Until the rack serves without the servers that have not answered yet.
    # start_timeout_ms = 10000
    # Until a transition is given up.
    # transition_timeout_ms = 400
    # How often servers are told to forget what is not needed any more; 0: only by command.
    # floor_interval_ms = 5000

    # What one client address may ask. What is beyond it is dropped and counted.
    [limits]
    # Requests per second in the long run, and so many at once after it has been quiet; 1 to 1000000.
    # The rate 0 means any number.
    # requests_per_second = 0
    # burst = 1000

    # One table for each server, at most 32.
    [[server]]
    # 0 to 31.
    number = 0
    address = "10.18.1.1"
    # The rack's port, unless given.
    # port = 18516
    # The interface of this host that leads to it, one of directory.interfaces (it may be left out if
    # there is only one), and the Ethernet address of the server, or of the router before it. Without
    # it, what the kernel's neighbour table has for its address or its router's, whenever that changes.
    interface = "eth1"
    mac = "02:00:00:00:01:01"

    [[server]]
    number = 1
    address = "10.18.1.2"
    interface = "eth2"
    mac = "02:00:00:00:01:02"

    """

  /// The same with what holds without those lines written out.
  package static var exampleInFull: String {
    example.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      let words = line.drop { $0 == " " }.split(separator: " ")
      let isValue =
        words.count >= 4 && words[0] == "#" && words[2] == "="
        && words[1].allSatisfy {
          $0.isLowercase || $0 == "_"
        }
      return isValue ? String(line.dropFirst(2)) : String(line)
    }.joined(separator: "\n")
  }
}
