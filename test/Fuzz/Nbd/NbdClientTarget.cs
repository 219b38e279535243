using Godwit.Fuzz.Engine;
using Godwit.Nbd.Protocol;
using Godwit.Testing.Files;

namespace Godwit.Fuzz.Nbd;

/// <summary>A server that lies, against our own client.</summary>
internal sealed class NbdClientTarget : FuzzTarget
{
    private const int MaxSession = 1 << 20;
    private const long MaxAllocation = 64 << 20;
    private static readonly ClientScript[] Scripts =
    [
        new(NbdHeaderForm.Simple), new(NbdHeaderForm.Structured), new(NbdHeaderForm.Extended), new(NbdHeaderForm.Simple, Epoch: 3),
        new(NbdHeaderForm.Structured, Epoch: 4, Point: "first"), new(NbdHeaderForm.Extended, Epoch: 5, Point: "first"),
    ];
    private readonly List<RecordedServer> _records = [];

    public override string Name => "nbd-client";

    public override string What => "what a server answers: greeting, options, replies in every form of headers, cut off anywhere";

    protected override async ValueTask<IReadOnlyList<FuzzImage>> CreateImagesAsync()
    {
        var server = new ServerUnderFuzz();
        var images = new List<FuzzImage>();
        foreach (var script in Scripts)
        {
            var record = await RecordedServer.RecordAsync(server, script);
            _records.Add(record);
            var areas = record.Answers().Select((answer, index) => new Area($"answer {index}", answer.At, answer.Length, Fields(answer.Length)));
            images.Add(new FuzzImage($"{script}", new MemoryFile(record.Said), [.. areas], BigEndian: true));
        }

        return images;
    }

    /// <summary>Puts the magic numbers back, so that what was changed behind them is looked at.</summary>
    protected override async ValueTask SealAsync(MemoryFile file, FuzzImage image, FuzzInput input)
    {
        foreach (var area in image.Areas)
        {
            var magic = Math.Min(4, area.Length);
            if (input.Touches(area.Offset, magic) && area.Offset + magic <= file.Length)
                await file.WriteAsync(area.Offset, await image.File.ReadBytesAsync(area.Offset, magic), CancellationToken.None);
        }
    }

    protected override async ValueTask ExerciseAsync(MemoryFile file, Signals signals)
    {
        var script = Array.FindIndex(Scripts, script => file.Path == $"{script}");
        var said = await file.ReadBytesAsync(0, (int)Math.Min(file.Length, MaxSession));
        var before = GC.GetTotalAllocatedBytes();
        try
        {
            await _records[script].ReplayAsync(said, signals);
        }
        catch (Exception e) when (e is not FuzzFinding)
        {
            throw new FuzzFinding($"{e.GetType().Name} came out of the client: {e.Message}", e);
        }

        var allocated = GC.GetTotalAllocatedBytes() - before;
        if (allocated > MaxAllocation && !SharesProcess)
            throw new FuzzFinding($"a session took {allocated >> 20} MiB of memory");
    }

    private static List<Field> Fields(int length)
    {
        var fields = new List<Field>();
        for (var at = 0; at + 4 <= Math.Min(length, 64); at += 4)
            fields.AddRange(at % 8 == 0 && at + 8 <= length ? [new Field(at, 4), new Field(at, 8), new Field(at + 2, 2)] : [new Field(at, 4)]);
        return fields;
    }
}
