using Godwit.Fuzz.Engine;
using Godwit.Nbd.Protocol;
using Godwit.Testing.Files;

namespace Godwit.Fuzz.Nbd;

/// <summary>Sessions of a client that lies, stutters and hangs up, against one server that serves them all.</summary>
internal sealed class NbdServerTarget : FuzzTarget
{
    private const int MaxSession = 4 << 20;
    private const int WitnessEvery = 64;
    private const long MaxAllocation = 64 << 20;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private ServerUnderFuzz? _server;
    private long _sessions;

    public override string Name => "nbd-server";

    public override string What => "what a client sends: options, requests in every form of headers, split anywhere, cut off anywhere";

    protected override ValueTask<IReadOnlyList<FuzzImage>> CreateImagesAsync() => ValueTask.FromResult<IReadOnlyList<FuzzImage>>(
    [
        SessionScript.Create(NbdHeaderForm.Simple, 1), SessionScript.Create(NbdHeaderForm.Structured, 1), SessionScript.Create(NbdHeaderForm.Structured, 2),
        SessionScript.Create(NbdHeaderForm.Extended, 1), SessionScript.Create(NbdHeaderForm.Extended, 2), SessionScript.CreateOld(NbdOption.ExportName),
        SessionScript.CreateOld(NbdOption.Abort), SessionScript.CreateOld(NbdOption.StartTls),
        SessionScript.CreateLarge(NbdHeaderForm.Simple), SessionScript.CreateLarge(NbdHeaderForm.Structured), SessionScript.CreateLarge(NbdHeaderForm.Extended),
    ]);

    /// <summary>Puts the magic numbers back, so that what was changed behind them is looked at.</summary>
    protected override async ValueTask SealAsync(MemoryFile file, FuzzImage image, FuzzInput input)
    {
        foreach (var area in image.Areas)
        {
            var magic = area.Fields[0].Width;
            if (area.Offset > 0 && input.Touches(area.Offset, magic) && area.Offset + magic <= file.Length)
                await file.WriteAsync(area.Offset, await image.File.ReadBytesAsync(area.Offset, magic), CancellationToken.None);
        }
    }

    protected override async ValueTask ExerciseAsync(MemoryFile file, Signals signals)
    {
        _server ??= new ServerUnderFuzz();
        var session = await file.ReadBytesAsync(0, (int)Math.Min(file.Length, MaxSession));
        _server.Renew();
        var before = GC.GetTotalAllocatedBytes();
        var outcome = await PlayAsync(_server, session);
        var allocated = GC.GetTotalAllocatedBytes() - before;
        if (allocated > MaxAllocation && !SharesProcess)
            throw new FuzzFinding($"a session took {allocated >> 20} MiB of memory");
        foreach (var problem in _server.TakeProblems())
            signals.Note(Signals.ShapeOf(problem));
        SessionCheck.Judge(session, outcome, signals);
        if (++_sessions % WitnessEvery == 0)
            await _server.WitnessAsync(Patience);
    }

    private async ValueTask<SessionOutcome> PlayAsync(ServerUnderFuzz server, byte[] session)
    {
        try
        {
            return await server.PlayAsync(session, Patience);
        }
        catch (FuzzFinding)
        {
            // What is stuck in it would be found again in every session to come.
            _server = null;
            throw;
        }
    }
}
