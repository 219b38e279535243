using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.Nbd.Tests.Nbd;

/// <summary>Runs a program of this machine, or skips the test when it is not installed.</summary>
internal static class Tool
{
    public static async Task<CommandResult> RunAsync(string program, params string[] arguments)
    {
        Require(program);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(50));

        // The distribution's Python has libnbd's module; another one in front of it on the path has not.
        var environment = new Dictionary<string, string> { ["PATH"] = $"/usr/bin:/bin:{Environment.GetEnvironmentVariable("PATH")}" };
        return await ChildProgram.RunAsync(program, arguments, environment, limit.Token);
    }

    public static void Require(string program)
    {
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':');
        Assert.SkipUnless(Array.Exists(folders, folder => File.Exists(Path.Combine(folder, program))), $"{program} is not installed");
    }
}
