using System.Globalization;

namespace Godwit.Fuzz;

/// <summary>What the command line asks for.</summary>
internal sealed record FuzzOptions
{
    public const string Usage = """
        usage: godwit-fuzz TARGET|all [--executions N] [--seconds S] [--seed N] [--corpus DIR] [--findings DIR]
               godwit-fuzz TARGET --replay FILE
               godwit-fuzz list | instrument FOLDER
        """;

    public string Target { get; private init; } = "";

    public long Executions { get; private init; } = 1_000_000;

    public TimeSpan Limit { get; private init; } = TimeSpan.FromHours(24);

    public int Seed { get; private init; } = Environment.TickCount & 0xFFFFFF;

    public string? Corpus { get; private init; }

    public string Findings { get; private init; } = "artifacts/fuzz/findings";

    public string? Replay { get; private init; }

    /// <summary>Reads the command line; null when it makes no sense.</summary>
    public static FuzzOptions? Parse(string[] arguments)
    {
        if (arguments.Length % 2 == 0)
            return null;
        var options = new FuzzOptions { Target = arguments[0] };
        for (var index = 1; index < arguments.Length; index += 2)
        {
            if (options.With(arguments[index], arguments[index + 1]) is not FuzzOptions next)
                return null;
            options = next;
        }

        return options;
    }

    private FuzzOptions? With(string name, string value) => name switch
    {
        "--executions" when long.TryParse(value, CultureInfo.InvariantCulture, out var number) => this with { Executions = number },
        "--seconds" when double.TryParse(value, CultureInfo.InvariantCulture, out var seconds) => this with { Limit = TimeSpan.FromSeconds(seconds) },
        "--seed" when int.TryParse(value, CultureInfo.InvariantCulture, out var seed) => this with { Seed = seed },
        "--corpus" => this with { Corpus = value },
        "--findings" => this with { Findings = value },
        "--replay" => this with { Replay = value },
        _ => null,
    };
}
