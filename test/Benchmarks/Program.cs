using Godwit.Benchmarks.Demo;
using Godwit.Benchmarks.Disk;
using Godwit.Benchmarks.Hosts;
using Godwit.Benchmarks.Latency;
using Godwit.Benchmarks.Mirror;
using Godwit.Benchmarks.Nbd;

return args.FirstOrDefault() switch
{
    "disk" => await DiskVerb.RunAsync(args[1..]),
    "nbd" => await NbdVerb.RunAsync(args[1..]),
    "mirror" => await MirrorVerb.RunAsync(args[1..]),
    "host" => await HostVerb.RunAsync(args[1..]),
    "latency" => await LatencyVerb.RunAsync(args[1..]),
    "demo" => await DemoVerb.RunAsync(args[1..]),
    var other => Refuse(other),
};

static int Refuse(string? verb)
{
    Console.Error.WriteLine(verb is null
        ? "godwit-bench: say what to run: disk, nbd, mirror, host, latency or demo"
        : $"godwit-bench: unknown benchmark '{verb}'; known: disk, nbd, mirror, host, latency, demo");
    return 64;
}
