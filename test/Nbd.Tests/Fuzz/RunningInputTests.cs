using Godwit.Fuzz.Engine;
using Godwit.Testing;
using Godwit.Testing.Files;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.Nbd.Tests.Fuzz;

/// <summary>The input that is being executed is in a file while it runs, and the next start says so when the program did not come back from it.</summary>
public sealed class RunningInputTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact(Timeout = 60_000)]
    public async Task The_input_stands_in_the_file_while_it_is_executed_and_the_file_goes_with_the_run()
    {
        var seen = 0;
        var target = new PatchTarget(file =>
        {
            var running = FuzzInput.Parse(File.ReadAllText(Assert.Single(Directory.GetFiles(_folder.Path))));
            Assert.Equal(Start(file), Start(new PatchTarget(_ => { }).Images[0].ApplyAsync(running).AsTask().GetAwaiter().GetResult()));
            seen++;
        });
        await RunAsync(target, 300);
        Assert.True(seen >= 300);
        Assert.Empty(Directory.GetFiles(_folder.Path));
    }

    [Fact(Timeout = 60_000)]
    public async Task An_input_that_ended_the_program_is_saved_at_the_next_start()
    {
        byte[]? last = null;
        var executions = 0;
        await Assert.ThrowsAsync<InvalidOperationException>(() => RunAsync(new PatchTarget(file =>
        {
            last = Start(file);
            if (++executions == 50)
                throw new InvalidOperationException("as if the runtime had crashed");
        }), 300));
        var lines = await RunAsync(new PatchTarget(_ => { }), 5);
        var saved = Assert.Single(Directory.GetFiles(_folder.Path));
        Assert.Contains(lines, line => line.Contains(saved, StringComparison.Ordinal));
        var input = FuzzInput.Parse(await File.ReadAllTextAsync(saved, TestContext.Current.CancellationToken));
        Assert.Equal(last, Start(await new PatchTarget(_ => { }).Images[0].ApplyAsync(input)));
    }

    [Fact(Timeout = 60_000)]
    public async Task What_somebody_else_is_executing_now_is_left_alone()
    {
        // The first process is always there, and was before.
        var others = _folder.File("running-patch-1.txt");
        await File.WriteAllTextAsync(others, "image 0\nseals 0\n", TestContext.Current.CancellationToken);
        Assert.Empty(await RunAsync(new PatchTarget(_ => { }), 5));
        Assert.Equal([others], Directory.GetFiles(_folder.Path));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_killed_program_leaves_its_input()
    {
        var program = Path.Combine(AppContext.BaseDirectory, "godwit-fuzz");
        string[] arguments = ["nbd-client", "--seconds", "50", "--findings", _folder.Path];
        using (var running = ChildProgram.Start(program, arguments, null, redirect: true))
        {
            while (!Directory.EnumerateFiles(_folder.Path).Any(file => new FileInfo(file).Length > 0))
                await Task.Delay(20, TestContext.Current.CancellationToken);
            running.Kill();
            await running.WaitForExitAsync(TestContext.Current.CancellationToken);
        }

        var next = await ChildProgram.RunAsync(program, ["nbd-client", "--executions", "1", "--findings", _folder.Path], null, TestContext.Current.CancellationToken);
        var saved = Assert.Single(Directory.GetFiles(_folder.Path));
        Assert.Contains($"ended in the middle of an execution, killed or by its input: {saved}", next.Output, StringComparison.Ordinal);
        Assert.StartsWith("# the program ended in this execution", await File.ReadAllTextAsync(saved, TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    /// <summary>An image may be said to be very long; what is changed in it is at the start.</summary>
    private static byte[] Start(MemoryFile file) => file.ReadBytesAsync(0, (int)Math.Min(file.Length, 1 << 20)).AsTask().GetAwaiter().GetResult();

    private async Task<List<string>> RunAsync(FuzzTarget target, int executions)
    {
        CoverageMap.Attach();
        var lines = new List<string>();
        var loop = new FuzzLoop(target, seed: 3, new FindingFolder(_folder.Path, target.Name)) { IsRepeatable = true };
        await loop.RunAsync([], executions, TimeSpan.FromSeconds(30), lines.Add);
        return lines;
    }

    /// <summary>Hands every changed image to the test.</summary>
    private sealed class PatchTarget(Action<MemoryFile> exercise) : FuzzTarget
    {
        public override string Name => "patch";

        public override string What => "nothing";

        protected override ValueTask<IReadOnlyList<FuzzImage>> CreateImagesAsync() => ValueTask.FromResult<IReadOnlyList<FuzzImage>>(
            [new FuzzImage("zeroes", new MemoryFile(new byte[256]), [new Area("all", 0, 256, [new Field(0, 4), new Field(8, 8)])])]);

        protected override ValueTask SealAsync(MemoryFile file, FuzzImage image, FuzzInput input) => ValueTask.CompletedTask;

        protected override ValueTask ExerciseAsync(MemoryFile file, Signals signals)
        {
            exercise(file);
            return ValueTask.CompletedTask;
        }
    }
}
