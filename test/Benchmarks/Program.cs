using Godwit.Benchmarks.Demo;
using Godwit.Benchmarks.Nbd;

return args.FirstOrDefault() switch
{
    "nbd" => await NbdVerb.RunAsync(args[1..]),
    "demo" => await DemoVerb.RunAsync(args[1..]),
    var other => Refuse(other),
};

static int Refuse(string? verb)
{
    Console.Error.WriteLine(verb is null
        ? "godwit-bench: say what to run: nbd or demo"
        : $"godwit-bench: unknown benchmark '{verb}'; known: nbd, demo");
    return 64;
}
