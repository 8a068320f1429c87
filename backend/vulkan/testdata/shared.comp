// What workgroups may share, in sizes of every kind. shared.spv is
// glslc --target-env=vulkan1.2 shared.comp -o shared.spv
#version 460

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint rows = 8;
layout(constant_id = 2) const bool wide = false;
layout(constant_id = 7) const uint unused = 3;

const uint COLS = rows < 32 ? (rows + 3) / 4 * 4 : 32;
const uint DEPTH = wide ? rows % 5 : COLS - 1;

shared float a[gl_WorkGroupSize.x];
shared vec4 b[COLS * (DEPTH + 1)];
shared uint c;
shared vec3 d[3];
shared uint e[!wide && rows >= 8 || rows == 3 ? 20 : 7][2];
shared uvec2 f[rows > 4 && rows != 12 ? 1 : 3];
shared bool g[5];

void main() {
	uint i = gl_LocalInvocationIndex;
	a[i] = 1;
	b[i] = vec4(a[i]);
	c = 2;
	d[i % 3] = b[i].xyz;
	e[i][1] = c;
	f[0] = uvec2(e[i][0]);
	g[i % 5] = d[i % 3].x > f[0].x;
	barrier();
	if (g[0]) a[0] = unused;
}
