using System.Runtime.InteropServices;
using Godwit.Qemu.Processes.Interop;

namespace Godwit.Qemu.Processes;

/// <summary>
/// Starts programs without a shell, each in a session of its own: it has no terminal, a ^C for us does not reach it, and
/// it lives on when we end. The only place in this project that starts anything.
/// </summary>
internal static class ProcessStarter
{
    private const int OpenReadOnly = 0;
    private const int OpenWriteCreateAppend = 0x1 | 0x40 | 0x400;
    private const uint PrivateFile = 0x180;

    /// <summary>Starts a program with nothing on its standard input and both outputs appended to a file.</summary>
    /// <param name="program">Absolute path of the program.</param>
    /// <param name="arguments">Its arguments, without the program's name.</param>
    /// <param name="output">Receives what it prints; created when missing.</param>
    /// <exception cref="QemuException">It cannot be executed, or its output file cannot be opened.</exception>
    public static OwnedProcess Start(string program, IReadOnlyList<string> arguments, string output)
    {
        Span<byte> attributes = stackalloc byte[Libc.OpaqueBytes];
        Span<byte> files = stackalloc byte[Libc.OpaqueBytes];
        Require(Libc.AttributesInitialize(attributes), program);
        Require(Libc.FileActionsInitialize(files), program);
        nint[] argumentVector = [], environment = [];
        try
        {
            DescribeSession(attributes, program);
            DescribeFiles(files, output, program);
            argumentVector = ToVector([program, .. arguments]);
            environment = ToVector(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"]);
            Require(Libc.Spawn(out var id, program, files, attributes, argumentVector, environment), program);
            return OwnedProcess.OfChild(id);
        }
        finally
        {
            Free(argumentVector);
            Free(environment);
            _ = Libc.AttributesDestroy(attributes);
            _ = Libc.FileActionsDestroy(files);
        }
    }

    private static void DescribeSession(Span<byte> attributes, string program)
    {
        // The runtime blocks and ignores signals of its own; a child would inherit both.
        Span<byte> signals = stackalloc byte[Libc.OpaqueBytes];
        signals.Clear();
        Require(Libc.AttributesSetSignalMask(attributes, signals), program);
        _ = Libc.FillSignals(signals);
        Require(Libc.AttributesSetDefaultSignals(attributes, signals), program);
        const short Flags = Libc.SpawnSetSession | Libc.SpawnSetDefaultSignals | Libc.SpawnSetSignalMask;
        Require(Libc.AttributesSetFlags(attributes, Flags), program);
    }

    private static void DescribeFiles(Span<byte> files, string output, string program)
    {
        Require(Libc.FileActionsAddOpen(files, 0, "/dev/null", OpenReadOnly, 0), program);
        Require(Libc.FileActionsAddOpen(files, 1, output, OpenWriteCreateAppend, PrivateFile), program);
        Require(Libc.FileActionsAddDuplicate(files, 1, 2), program);
        Require(Libc.FileActionsAddCloseFrom(files, 3), program);
    }

    private static nint[] ToVector(string[] words)
    {
        var vector = new nint[words.Length + 1];
        for (var i = 0; i < words.Length; i++)
            vector[i] = Marshal.StringToCoTaskMemUTF8(words[i]);
        return vector;
    }

    private static void Free(nint[] vector)
    {
        foreach (var word in vector)
            Marshal.FreeCoTaskMem(word);
    }

    private static void Require(int error, string program)
    {
        if (error == 0)
            return;
        var kind = error is 2 or 13 ? QemuErrorKind.NotInstalled : QemuErrorKind.StartFailed;
        throw new QemuException(kind, $"{program} cannot be started: {Marshal.GetPInvokeErrorMessage(error)}");
    }
}
