namespace Godwit.Benchmarks.Demo;

/// <summary>`godwit-bench demo [--report FILE] [--programs DIR] [--keep]`.</summary>
internal static class DemoVerb
{
    public static async Task<int> RunAsync(string[] arguments)
    {
        string? report = null;
        var programs = Testing.Hosts.HostUnderTest.DefaultPrograms;
        for (var i = 0; i < arguments.Length; i++)
        {
            switch (arguments[i])
            {
                case "--report" when i + 1 < arguments.Length: report = arguments[++i]; break;
                case "--programs" when i + 1 < arguments.Length: programs = arguments[++i]; break;
                default:
                    await Console.Error.WriteLineAsync($"demo: unknown or unfinished option '{arguments[i]}'; known: --report FILE, --programs DIR");
                    return 64;
            }
        }

        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(5));
        Console.CancelKeyPress += (_, e) =>
        {
            // The finally blocks end the processes this run has started.
            e.Cancel = true;
            limit.Cancel();
        };
        try
        {
            var result = await new DemoRun(programs).RunAsync(limit.Token);
            result.Print();
            if (report is not null)
                result.Write(report);
            return result.IsGood ? 0 : 1;
        }
        catch (OperationCanceledException)
        {
            await Console.Error.WriteLineAsync("demo: interrupted, or not done within five minutes; everything it started is ended");
            return 2;
        }
    }
}
