using System.Globalization;
using System.Text.Json;
using Godwit.Api.Disks;
using Godwit.Cli.Text;
using Godwit.Storage;
using Godwit.Storage.Chains;

namespace Godwit.Cli.Disks;

/// <summary>godwit disk map</summary>
internal static class DiskMap
{
    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var path = DiskCommands.PathArgument();
        var format = DiskCommands.ExpectedFormatOption();
        var chain = new ChainArguments();
        var verb = new Verb(
            "map", "Lists what is allocated where, as the guest sees it, and in which layer",
            "godwit disk map data.vhdx")
        {
            path, format,
        };
        chain.AddTo(verb);
        verb.AddJson("Write an array of runs as JSON");
        verb.Does(shell, global, (session, cancellationToken) => RunAsync(
            session, session.Shell.AbsolutePath(session.Get(path)), session.Get(format), chain.Read(session, session.Get(format)),
            cancellationToken));
        return verb;
    }

    /// <summary>Every run of a device in order; neighbours of one kind are one run.</summary>
    public static async IAsyncEnumerable<Extent> ReadAsync(
        BlockDevice device, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var run = new Extent(0, 0, ExtentKind.Data);
        while (run.End < device.Length)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var next = await device.GetExtentAsync(run.End, device.Length - run.End, cancellationToken);
            if ((next.Kind == run.Kind && next.Layer == run.Layer) || run.Length == 0)
            {
                run = next with { Offset = run.Offset, Length = run.Length + next.Length };
                continue;
            }

            yield return run;
            run = next;
        }

        if (run.Length > 0)
            yield return run;
    }

    private static async Task<int> RunAsync(
        Session session, string path, DiskFormat? format, ChainOptions options, CancellationToken cancellationToken)
    {
        await ImageNames.RequireContentAsync(path, format, cancellationToken);
        var chain = await DiskChain.OpenAsync(path, options, cancellationToken);
        await using var device = chain.Device;
        if (session.Json)
            await WriteJsonAsync(session.Shell.Out, chain, cancellationToken);
        else
            await WriteTableAsync(session, chain, cancellationToken);
        return ExitCode.Ok;
    }

    // One run per line, written as it is read: a large disk has millions of them.
    private static async Task WriteJsonAsync(TextWriter writer, DiskChain chain, CancellationToken cancellationToken)
    {
        var separator = "[";
        await foreach (var run in ReadAsync(chain.Device, cancellationToken))
        {
            var extent = new DiskExtent(run.Offset, run.Length, run.Kind, run.Layer, chain.Layers[run.Layer].Path);
            var line = JsonSerializer.Serialize(extent, JsonText.Line.DiskExtent);
            await writer.WriteAsync($"{separator}{Environment.NewLine}  {line}");
            separator = ",";
        }

        await writer.WriteLineAsync(separator == "[" ? "[]" : $"{Environment.NewLine}]");
    }

    private static async Task WriteTableAsync(Session session, DiskChain chain, CancellationToken cancellationToken)
    {
        var writer = session.Shell.Out;
        var layered = chain.Layers.Count > 1;
        var length = chain.Device.Length.ToString(CultureInfo.InvariantCulture).Length;
        var width = Math.Max("LENGTH".Length, length);
        var heading = $"{"START".PadLeft(width)}  {"LENGTH".PadLeft(width)}  KIND";
        await writer.WriteLineAsync(session.Paint.Bold(layered ? $"{heading}  LAYER" : heading));
        await foreach (var run in ReadAsync(chain.Device, cancellationToken))
        {
            var line = $"{Cell(run.Offset)}  {Cell(run.Length)}  {run.Kind}";
            await writer.WriteLineAsync(
                layered ? $"{line}  {run.Layer} {Printable.From(chain.Layers[run.Layer].Path)}" : line);
        }

        string Cell(long value) => value.ToString(CultureInfo.InvariantCulture).PadLeft(width);
    }
}
