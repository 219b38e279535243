using System.Globalization;
using System.Net.Sockets;
using Godwit.Cli.Progress;
using Godwit.Nbd;
using Godwit.Storage;
using Godwit.Storage.Files;
using Godwit.Storage.Operations;

namespace Godwit.Cli.Disks.Foreign;

/// <summary>Makes a file in a format that qemu-img writes for us: it reads the disk from a private socket of ours.</summary>
/// <param name="session">The command.</param>
/// <param name="plan">What is made from what.</param>
/// <param name="format">"qcow2" or "vmdk".</param>
internal sealed class ForeignTarget(Session session, CopyPlan plan, string format)
{
    /// <summary>Makes the file; one that a killed process left is made anew.</summary>
    /// <returns>The hash of both, when asked for.</returns>
    public Task<byte[]?> WriteAsync(BlockDevice source, string target, bool restart, bool verify, CancellationToken cancellationToken) =>
        FileMaking.RunAsync(
            session, plan, target, restart,
            async file =>
            {
                await ConvertAsync(source, file.Path, cancellationToken);
                await using (var written = LocalFile.Open(file.Path, readOnly: false))
                    await written.FlushAsync(cancellationToken);
                return verify ? await VerifyAsync(source, file.Path, cancellationToken) : null;
            });

    private async Task ConvertAsync(BlockDevice source, string path, CancellationToken cancellationToken)
    {
        using var folder = new PrivateFolder();
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(folder.File("nbd")));
        listener.Listen();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var serving = new NbdServer([new NbdExport("", source)], new NbdServerOptions()).RunAsync(listener, stop.Token);
        try
        {
            var uri = $"nbd+unix:///?socket={Uri.EscapeDataString(folder.File("nbd"))}";
            using var tool = QemuTool.Start("qemu-img", ["convert", "-p", "-f", "raw", "-O", format, uri, path]);
            await ShowProgressAsync(tool, source.Length, cancellationToken);
            await tool.FinishAsync(cancellationToken);
        }
        finally
        {
            await stop.CancelAsync();
            await serving;
        }
    }

    private async Task<byte[]> VerifyAsync(BlockDevice source, string path, CancellationToken cancellationToken)
    {
        await using var made = await ForeignSource.OpenAsync(path, format, cancellationToken);
        return await made.UseAsync(
            device => FileMaking.HashBothAsync(session, source, device, plan.Operation, cancellationToken), cancellationToken);
    }

    // It prints "    (12.34/100%)" and a carriage return again and again.
    private async Task ShowProgressAsync(QemuTool tool, long total, CancellationToken cancellationToken)
    {
        var buffer = new char[256];
        var word = "";
        while (await tool.Output.ReadAsync(buffer, cancellationToken) is var count and > 0)
        {
            foreach (var letter in buffer.AsSpan(0, count))
            {
                if (char.IsAsciiDigit(letter) || letter == '.')
                    word += letter;
                else if (letter == '/' && double.TryParse(word, CultureInfo.InvariantCulture, out var percent))
                    session.Talk.Show(new ProgressState("Converting", percent, (long)(percent / 100 * total), total));
                if (letter is '(' or ')')
                    word = "";
            }
        }
    }
}
